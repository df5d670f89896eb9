#!/usr/bin/env bash
# The plans of allocation.toml for 85 % of tiny.en's milliseconds on this machine's CPU (one thread, fp32, a 5 s clip, 16 tokens):
#   experiments/study/plans/latency.sh ../shared/data /tmp/plans
set -euo pipefail
cd "$(dirname "$0")/../../.."
data=$1 out=$2
mkdir -p "$out"
head -n 2 "$data/speechocean762/dev.jsonl" | sed "s|\"audio\": \"|&$(realpath "$data")/speechocean762/|" > "$out/dev.jsonl"
plan() {  # NAME SETTINGS: the plan comes before training, of which one step is enough
    ${PYTHON:-python3} -m secateur prune --model tiny.en --train "$data/speechocean762/train.jsonl" --dev "$out/dev.jsonl" --test "$out/dev.jsonl" \
        --device cpu --out "$out/$1" --prune.target latency=0.85 --prune.vocabulary false --prune.audio-seconds none --prune.text-tokens none \
        --training.steps 1 --training.batch-seconds 5 "${@:2}"
    cp "$out/$1/allocation.json" "experiments/study/plans/latency85-$1.json"
}
plan uniform --prune.allocate uniform
plan global --prune.allocate global
plan search-loss --prune.map experiments/sensitivity/results/tiny_en_tuned.json
plan search-error --prune.map experiments/sensitivity/results/tiny_en_tuned.json --prune.harm error
