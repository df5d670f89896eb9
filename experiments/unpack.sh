#!/usr/bin/env bash
# On the other machine: joins the parts that earlier calls put into $STAGE and installs the wheels beside them.
set -euo pipefail
STAGE=${STAGE:-/tmp/stage}
mkdir -p "$STAGE/site"
cat "$STAGE"/part*/p | tar -C "$STAGE" -xf -
[ -d "$STAGE/whl" ] && python3 -m pip install -q --no-index --no-deps --no-compile --upgrade --target "$STAGE/site" "$STAGE"/whl/*.whl
echo "unpacked: $(du -sh "$STAGE" | cut -f1)"
