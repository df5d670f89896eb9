#!/usr/bin/env bash
# The maps of tiny.en (as published, and tuned), of base on Mandarin, and of native CTC models; then their small copies.
#   experiments/sensitivity/run.sh DATA OUT            DATA has speechocean762/, librispeech-mini/, commonvoice-zh-cn/
#   TINY= BASE= TUNED= CTC="trunk=/tmp/stage/ctc conformer=/tmp/stage/conformer" BENCH= experiments/sensitivity/run.sh DATA OUT
#   TUNED= BASE= CTC= experiments/sensitivity/run.sh DATA OUT      tiny.en and its cost alone
# Models, a folder or a name each; what is empty is left out:
#   TINY (tiny.en)  TUNED (a run's dense/)  BASE (base)  CTC (native models' folders, NAME=FOLDER each; their maps are ctc_NAME)
# LIMIT clips of each manifest at most (127 and all 73 of the other: 200 English dev clips), ZH clips of Mandarin (200), DEVICE (cuda).
# Maps look at every site on all clips (SCREEN=0) and decode 120; SCREEN=8 DECODE=20 is what `secateur sensitivity` does unless told.
# Expected on one H200 that other work shares: tiny.en and tuned 110 s each, base 200 s, a CTC model 60 s, a benchmark 60 s.
# On two cores 2 clips a set take minutes: LIMIT=2 ZH=2 DEVICE=cpu SITES='decoder 3,sample_rate' experiments/sensitivity/run.sh ...
# A killed run goes on where it was; OUT/results has what is committed to experiments/sensitivity/results.
set -uo pipefail
data=$1 out=$2
python=${PYTHON:-python3}
TINY=${TINY-tiny.en} TUNED=${TUNED-} BASE=${BASE-base} CTC=${CTC-}
LIMIT=${LIMIT-127} ZH=${ZH-200} DEVICE=${DEVICE-cuda} SITES=${SITES-} SCREEN=${SCREEN-0} DECODE=${DECODE-120}
mkdir -p "$out/results"
map() {  # NAME MODEL LIMIT MANIFESTS
    [ -n "$2" ] || return 0
    local start=$SECONDS
    $python -m secateur sensitivity "$2" --data "$4" --limit "$3" --sites "$SITES" --screen "$SCREEN" --decode "$DECODE" \
        --device "$DEVICE" --out "$out/$1" > "$out/$1.txt" 2> "$out/$1.log"
    echo "$1: exit $?, $((SECONDS - start)) s"
    tail -n 2 "$out/$1.log"
    [ -f "$out/$1/map.json" ] && $python "$(dirname "$0")/small.py" "$out/$1/map.json" "$out/results/$1.json"
    cp "$out/$1/heatmap.png" "$out/results/$1.png" 2> /dev/null
}
english="$data/speechocean762/dev.jsonl,$data/librispeech-mini/dev.jsonl"
map tiny_en "$TINY" "$LIMIT" "$english"
map tiny_en_tuned "$TUNED" "$LIMIT" "$english"
map base_zh "$BASE" "$ZH" "$data/commonvoice-zh-cn/dev.jsonl"
for one in $CTC; do
    case $one in *=*) name=ctc_${one%%=*} ;; *) name=ctc ;; esac
    map "$name" "${one#*=}" "$LIMIT" "$english"
done
# What a variant costs beside one whole evaluation, in time and FLOPs: NAME:PRECISION:SCREEN:DECODE each. The first is what
# `secateur sensitivity` does unless told; beside a whole map of tiny.en from above it also says which helpful sites were kept.
# BENCH= leaves them out.
full=$out/results/tiny_en.json
[ -f "$full" ] || full=$(dirname "$0")/results/tiny_en.json
for case in ${BENCH-bf16:bf16:8:20 closer:bf16:16:40 fp32:fp32:8:20}; do
    IFS=: read -r name precision screen decode <<< "$case"
    $python "$(dirname "$0")/../../benchmarks/sensitivity.py" --model "$TINY" --data "$data" --limit "$LIMIT" --device "$DEVICE" \
        --precision "$precision" --screen "$screen" --decode "$decode" --sites "$SITES" --flops --full "$full" \
        --out "$out/results/benchmark-$name.json" > "$out/benchmark-$name.txt" 2> "$out/benchmark-$name.log"
    echo "benchmark $name: exit $?, $SECONDS s so far"; tail -n 2 "$out/benchmark-$name.log"
done
ls -l "$out/results"
