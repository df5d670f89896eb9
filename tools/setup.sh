#!/usr/bin/env bash
# Makes .venv with the pinned packages and the CPU build of PyTorch; does nothing when it is there and up to date.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
TORCH=2.13.0
stamp=.venv/.ready-$(cat requirements.txt pyproject.toml tools/setup.sh | cksum | cut -d' ' -f1)
[ -f "$stamp" ] && exit 0

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "secateur needs Python 3.11 or newer; name one with  make PYTHON=python3.12 ..." >&2
    exit 2
}
echo "setup: environment in .venv (a minute or two, once)" >&2
[ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
# Bytecode is written at the end, on all cores: pip would take one.
install() { .venv/bin/python -m pip --disable-pip-version-check install -q --no-compile "$@"; }

if ! .venv/bin/python -c "import torch, sys; sys.exit(torch.__version__.split('+')[0] != '$TORCH')" 2>/dev/null; then
    # A plain `torch` from PyPI is gigabytes of CUDA on Linux: take the CPU build wherever one is configured or known.
    install "torch==$TORCH+cpu" 2>/dev/null \
        || install "torch==$TORCH" --index-url https://download.pytorch.org/whl/cpu --retries 1 --timeout 15 2>/dev/null \
        || { [ "$(uname -s)" != Linux ] && install "torch==$TORCH"; } \
        || { echo "setup: no CPU build of torch $TORCH found: install one into .venv, then run this again" >&2; exit 2; }
fi
install -r requirements.txt
install --no-deps --no-build-isolation -e . 2>/dev/null || install --no-deps -e .
.venv/bin/python -m compileall -qq -j 0 .venv/lib || true  # some packages bring files of other Pythons
rm -f .venv/.ready-*
touch "$stamp"
