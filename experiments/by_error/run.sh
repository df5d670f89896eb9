#!/usr/bin/env bash
# Removal by error of base and tiny.en for accented English and of base for Mandarin, and the controls, side by side on a GPU.
#   DEVICE=cuda:0 CLIPS=240 MOST=4 experiments/by_error/run.sh     -> $OUT/by_error.tgz
# Data, weights and wheels are in $STAGE (experiments/pack.sh, experiments/unpack.sh).
set -uo pipefail
cd "$(dirname "$0")/../.."
STAGE=${STAGE:-/tmp/stage} OUT=${OUT:-/tmp/out} WORK=${WORK:-/tmp/by_error} D=${DEVICE:-cuda:0}
export PYTHONPATH=$PWD/src:$STAGE/site OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1
S=$STAGE/speech
mkdir -p "$WORK"
one() {  # name, model, set to select and confirm on, further tests
    local name=$1 model=$2 set=$3
    shift 3
    timeout "${LIMIT:-500}" python3 -m secateur prune --by error --model "$model" --train "$S/$set/train.jsonl" --dev "$S/$set/dev.jsonl" \
        --rehearsal-dev "$S/librispeech-mini/dev.jsonl,$S/commonvoice-en/dev.jsonl" --test "$S/$set/test.jsonl" --device "$D" \
        --by-error.clips "${CLIPS:-240}" --by-error.most "${MOST:-4}" --out "$WORK/$name" --longest 20 > "$WORK/$name.log" 2>&1
    echo "$name: removal exit $? after $SECONDS s"
    [ -f "$WORK/$name/summary.json" ] || return
    timeout "${LIMIT:-500}" python3 experiments/by_error/controls.py "$model" "$WORK/$name" "$WORK/$name.json" "$S/$set/test.jsonl" "$@" \
        --device "$D" >> "$WORK/$name.log" 2>&1
    echo "$name: controls exit $? after $SECONDS s"
}
one base-en "$STAGE/base" speechocean762 "$S/librispeech-mini/test.jsonl" &
one tiny-en "$STAGE/model" speechocean762 "$S/librispeech-mini/test.jsonl" &
one base-zh "$STAGE/base" commonvoice-zh-cn &
wait
tar -C "$WORK" -czf "$OUT/by_error.tgz" $(cd "$WORK" && ls ./*.log ./*.json ./*/summary.json ./*/removed.json ./*/results ./*/before -d 2> /dev/null)
tail -n 3 "$WORK"/*.log | cut -c1-160
