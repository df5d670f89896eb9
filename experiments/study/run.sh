#!/usr/bin/env bash
# The runs of one study on a lent GPU, as many side by side as memory allows; what is finished by the end comes back.
#   STUDY=tiny_en PARALLEL=13 UNTIL=420 DEVICES=cuda:0 experiments/study/run.sh [--only ARMS] [--seeds SEEDS]
# KEEP="ARM-SEED ...": runs whose checkpoints come back too. Of a study with `[lm] outputs = true` what CTC runs said of dev and
# tests comes back (3 MB a run), for read_with_lm.py.
# Data, weights and wheels were put into $STAGE by earlier calls (experiments/pack.sh) and unpacked (experiments/unpack.sh).
set -uo pipefail
cd "$(dirname "$0")/../.."
STAGE=${STAGE:-/tmp/stage} OUT=${OUT:-/tmp/out} WORK=${WORK:-/tmp/runs}
export PYTHONPATH=$PWD/src:$STAGE/site SECATEUR_BANKS=/tmp/banks OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1
. experiments/study/mps.sh
mps_start
study=experiments/study/$STUDY.toml
mkdir -p "$WORK/$STUDY"
# Results of earlier calls, so that only what is missing runs.
python3 tools/packed.py unpack "experiments/study/results/$STUDY" "$WORK/$STUDY/results"
timeout "${LIMIT:-560}" python3 -m secateur study "$study" --data "$STAGE/speech" --out "$WORK/$STUDY" --parallel "${PARALLEL:-12}" \
    --devices "${DEVICES:-cuda:0}" --until "${UNTIL:-400}" "$@" > "$WORK/$STUDY.log" 2>&1
echo "$STUDY: exit $? after $SECONDS s"
python3 - "$WORK/$STUDY" <<'P'
import sys
from pathlib import Path
from secateur.study.store import collect
out = Path(sys.argv[1])
print(collect(out, out / "results"), "runs collected")
P
tar -C "$WORK" -czf "$OUT/$STUDY.tgz" "$STUDY.log" $(cd "$WORK" && ls -d "$STUDY"/results "$STUDY"/*/log.txt "$STUDY"/*/use 2>/dev/null) \
    $(cd "$WORK" && for kept in "$STUDY"/*/outputs; do [ -d "$kept" ] && ls -d "$kept" "${kept%/outputs}"/{units,summary}.json; done 2>/dev/null) \
    $(cd "$WORK" && for run in ${KEEP:-}; do ls "$STUDY/$run"/{config.json,model.safetensors,units.json,tokenizer.json,words.json,pinyin_head.safetensors,pinyin_units.json} 2>/dev/null; done)
grep -E "FAILED|^[a-z0-9-]+: .*steps|left for|secateur:" "$WORK/$STUDY.log" | tail -n 80 | cut -c1-150
