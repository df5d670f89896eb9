#!/usr/bin/env bash
# The bundled model greedily and with a beam of five on whole sets, in parts side by side, one CPU thread each.
#   experiments/bundled/beam.sh SPEECH WORK        SPEECH holds the sets; then  python experiments/bundled/beam.py WORK
set -euo pipefail
speech=$(realpath "$1") work=$2
mkdir -p "$work"
part() { awk -v n="$3" -v k="$4" 'NR % n == k' "$speech/$1/$2.jsonl" | sed "s|\"audio\": \"|&$speech/$1/|" > "$work/$1.$4.jsonl"; }
for k in 0 1 2; do part speechocean762 test 3 $k; done
for k in 0 1; do part librispeech-mini test 2 $k; done
part commonvoice-en dev 1 0
for beam in 1 5; do
    for manifest in "$work"/*.jsonl; do
        name=$(basename "$manifest" .jsonl)
        secateur evaluate secateur-en "$manifest" --conditions clean --threads 1 --beam $beam --out "$work/$name.beam$beam" &
    done
done
wait
