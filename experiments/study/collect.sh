#!/usr/bin/env bash
# Checkpoints of finished runs, packed tightly and in parts that come back from a lent machine:
#   WORK=/tmp/runs/STUDY experiments/study/collect.sh ARM-SEED ...     -> $OUT/00, $OUT/01, ... (cat 0* | tar xJ)
set -euo pipefail
cd "${WORK:?is the folder of the study}"
files=$(for run in "$@"; do ls "$run"/{config.json,model.safetensors,tokenizer.json,summary.json} 2> /dev/null || true; done)
# shellcheck disable=SC2086
tar -cf - $files | xz -T0 -6 | split -b 15M -d -a 2 - "${OUT:?is where the parts go}/"
ls -l "$OUT"
