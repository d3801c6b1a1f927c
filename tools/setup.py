"""Make an environment from a lock file, with nothing but Python's own library.

``setup.py VENV LOCK`` also puts the project itself into the environment and warms what compiles at
first use; ``--optional`` installs a lock of peers alone, and if that cannot be had says so and goes on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)


def check_python() -> str | None:
    """What is missing to make an environment, with the way to get it, or None."""
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:2]))
        needed = ".".join(map(str, OLDEST))
        return f"Python {needed} or later is needed, this is {found}. Try: make PY=python3.12 ..."
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv"
    return None


def run(*command: str | Path) -> int:
    """Run one command; its words go to the screen only when it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout[-4000:] + done.stderr[-4000:])
    return done.returncode


def main() -> int:
    """Make or update the environment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--optional", action="store_true")
    parser.add_argument("venv", type=Path)
    parser.add_argument("lock", type=Path)
    args = parser.parse_args()
    problem = check_python()
    if problem:
        print(f"SETUP: {problem}", file=sys.stderr)
        return 2
    bindir = args.venv / ("Scripts" if sys.platform == "win32" else "bin")
    python = bindir / "python"
    print(f"Setting up {args.venv} from {args.lock} (once; a minute or two) ...", file=sys.stderr, flush=True)
    if not python.exists() and run(sys.executable, "-m", "venv", args.venv):
        return 2
    pip = (python, "-m", "pip", "install", "-q", "--disable-pip-version-check")
    if args.optional:
        # The lock leaves out what a CPU build does not use, so dependencies are not asked for again.
        if run(*pip, "--no-deps", "--require-hashes", "-r", args.lock):
            print(
                "SETUP: these peers cannot be had here; tests that need them will be skipped.",
                file=sys.stderr,
            )
        return 0
    if run(*pip, "--require-hashes", "-r", args.lock):
        return 2
    if run(*pip, "--no-deps", "--no-build-isolation", "-e", "."):
        return 2
    return run(python, "-c", "from noise_profiles import measure, spectrum; measure.warm(); spectrum.warm()")


if __name__ == "__main__":
    sys.exit(main())
