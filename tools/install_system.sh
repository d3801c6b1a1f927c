#!/bin/sh
# What device, browser and database tests need from Debian's packages. Needs root; does nothing where all is there.
set -eu
packages="libportaudio2 libasound2-plugins pulseaudio pulseaudio-utils chromium fonts-noto-cjk fonts-hanazono postgresql strace nginx-light"
missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "Installing$missing"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
