#!/usr/bin/env bash
# The bundled model and tiny.en in conditions of real use, as its card shows them.
#   experiments/bundled/measure.sh SPEECH MEASURED        SPEECH holds the sets; one CPU thread, about half an hour
# Then: tools/make_card.py src/secateur/runtime/bundled/secateur-en/MODEL_CARD.md MEASURED/secateur-en MEASURED/tiny.en
set -euo pipefail
speech=$(realpath "$1") out=$2
mkdir -p "$out"
some() { awk "NR % $3 == $4" "$speech/$1/$2.jsonl" | sed "s|\"audio\": \"|&$speech/$1/|"; }
some librispeech-mini test 10 5 > "$out/librispeech-mini.jsonl"
some commonvoice-en dev 1 0 > "$out/commonvoice-en.jsonl"
some speechocean762 test 30 7 > "$out/speechocean762.jsonl"
some urbansound test 1 0 | grep -v '"may_hold_speech": true' > "$out/nonspeech.jsonl"
[ -d "$out/tiny.en.onnx" ] || secateur export tiny.en --out "$out/tiny.en.onnx" --precision fp32
short=clean,pause,prompt,joined-30,joined-120,previous,timestamps
for model in secateur-en tiny.en; do
    folder=$model
    [ "$model" = secateur-en ] || folder=$out/tiny.en.onnx
    secateur evaluate "$folder" "$out/librispeech-mini.jsonl" --conditions all --nonspeech "$out/nonspeech.jsonl" --threads 1 --out "$out/$model/librispeech-mini"
    for name in commonvoice-en speechocean762; do
        secateur evaluate "$folder" "$out/$name.jsonl" --conditions "$short" --threads 1 --out "$out/$model/$name"
    done
done
for name in speechocean762 librispeech-mini; do  # whole sets, for the sentences above the card's table
    long=$([ $name = librispeech-mini ] && echo ,joined-1200 || true)
    secateur evaluate secateur-en "$speech/$name/test.jsonl" --conditions clean$long --threads 1 --out "$out/secateur-en/$name-test"
done
