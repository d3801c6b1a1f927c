#!/bin/sh
# What device, browser and database tests need from Debian's packages. Needs root; does nothing where all is there.
set -eu
packages="libportaudio2 libasound2-plugins pulseaudio pulseaudio-utils chromium fonts-noto-cjk fonts-hanazono postgresql strace nginx-light"
missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
# Debian's npm brings hundreds of packages: only where there is none of another origin.
command -v npm >/dev/null || missing="$missing nodejs npm"
[ -n "$missing" ] || exit 0
echo "Installing$missing"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
