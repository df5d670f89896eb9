#!/usr/bin/env bash
# Writes deploy/requirements.txt and deploy/build-requirements.txt: every package of the image, pinned as in
# requirements.txt, with the hashes of all its files. Needs uv (pip install uv).
set -euo pipefail
cd "$(dirname "$0")/.."
pins=$(mktemp)
grep -v '^#' requirements.txt > "$pins"
lock() { uv pip compile -q --python-version 3.11 --universal --generate-hashes --no-header --no-annotate -c "$pins" "$@"; }
note() { echo "# $1, by hash. Made from pyproject.toml and requirements.txt by tools/lock_deploy.sh."; }
{ note "What the image installs"; lock pyproject.toml --extra serve --extra stream --extra zeroconf; } > deploy/requirements.txt.new
{ note "What builds the wheel"; echo "setuptools>=77" | lock -; } > deploy/build-requirements.txt.new
for name in requirements build-requirements; do mv "deploy/$name.txt.new" "deploy/$name.txt"; done
rm "$pins"
