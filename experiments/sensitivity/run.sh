#!/usr/bin/env bash
# The maps of tiny.en (as published, and tuned), of base on Mandarin, and of a native CTC model; then their small copies.
#   experiments/sensitivity/run.sh DATA OUT            DATA has speechocean762/, librispeech-mini/, commonvoice-zh-cn/
# Models, a folder or a name each; what is empty is left out:
#   TINY (tiny.en)  TUNED (a run's dense/)  BASE (base)  CTC (a native model's folder)
# LIMIT clips of each manifest at most (127 and all 73 of the other: 200 English dev clips), ZH clips of Mandarin (200), DEVICE (cuda).
# Expected on one H100 (not measured yet): tiny.en 60 to 120 s, tuned the same, base 120 to 240 s, CTC 40 s.
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
map ctc "$CTC" "$LIMIT" "$english"
# What a variant costs beside one whole evaluation, in time and FLOPs: NAME:PRECISION:SCREEN:CONFIRM:DECODE each. The first is
# what `secateur sensitivity` does unless told, the second looks closer at fewer. BENCH= leaves them out.
for case in ${BENCH-bf16:bf16:32:96:40 quick:bf16:16:40:20 fp32:fp32:32:96:40}; do
    IFS=: read -r name precision screen confirm decode <<< "$case"
    $python "$(dirname "$0")/../../benchmarks/sensitivity.py" --model "$TINY" --data "$data" --limit "$LIMIT" --device "$DEVICE" \
        --precision "$precision" --screen "$screen" --confirm "$confirm" --decode "$decode" --sites "$SITES" --flops \
        --out "$out/results/benchmark-$name.json" > "$out/benchmark-$name.txt" 2> "$out/benchmark-$name.log"
    echo "benchmark $name: exit $?, $SECONDS s so far"; tail -n 2 "$out/benchmark-$name.log"
done
ls -l "$out/results"
