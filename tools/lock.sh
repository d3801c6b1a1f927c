#!/bin/sh
# Write the lock files anew: hashed, for every platform, naming no registry.
#   requirements.lock            what the product needs
#   requirements-dev.lock        the same versions, and what tests and checks need
#   tools/toolkits/requirements.lock   third-party toolkits that read our releases in tests
set -eu
cd "$(dirname "$0")/.."
UV=${UV:-uv}
lock() { "$UV" pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header "$@"; }

lock pyproject.toml --extra demo --extra postgres --extra s3 --group build -o requirements.lock
lock pyproject.toml --extra demo --extra postgres --extra s3 --group build --group dev -c requirements.lock -o requirements-dev.lock

# On x86-64 Linux the registry's torch is a CUDA build of several gigabytes that no test needs. There the lock
# asks for the CPU build, which has the same version with a local label; where pip finds none, `make toolkits`
# says so and the tests of the toolkits are skipped. torchaudio has no CPU build there; of it speechbrain asks the
# version alone, and lhotse does without.
rm -f tools/toolkits/requirements.lock
lock tools/toolkits/requirements.in -o tools/toolkits/requirements.lock
python3 - tools/toolkits/requirements.lock "$(cat tools/toolkits/torch-cpu.sha256)" <<'PY'
import pathlib, re, sys

path, cpu_sha256 = pathlib.Path(sys.argv[1]), sys.argv[2]
blocks = [b.rstrip("\n") for b in re.split(r"\n(?=[a-z])", path.read_text())]
kept = [b for b in blocks if not re.match(r"(nvidia-|cuda-|triton|torchaudio)", b)]
x86 = "sys_platform == 'linux' and platform_machine == 'x86_64'"
other = "sys_platform != 'linux' or platform_machine != 'x86_64'"
for i, block in enumerate(kept):
    if block.startswith("torch=="):
        head, _, hashes = block.partition(" \\\n")
        kept[i] = f"{head}+cpu ; {x86} \\\n    --hash=sha256:{cpu_sha256}\n{head} ; {other} \\\n{hashes}"
path.write_text("\n".join(kept) + "\n")
PY

if grep -nE 'https?://' requirements.lock requirements-dev.lock tools/toolkits/requirements.lock; then
    echo "a lock file names a host" >&2
    exit 1
fi
