#!/usr/bin/env bash
# Packs speech, weights and wheels for a machine that sees only this checkout, in parts
# that fit into 64 MiB together with the checkout, which travels with each:
#   experiments/pack.sh SPEECH_FOLDER MODEL_FOLDER [SET ...]     -> .carry/part0/p, .carry/part1/p, ...
# MODELS="base=FOLDER other=FOLDER" packs further models under those names.
# There, `cat part*/p | tar x` gives speech/SET/... and model/ (see experiments/unpack.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
speech=$1 model=$2
shift 2
sets=("$@")
[ ${#sets[@]} -gt 0 ] || sets=(speechocean762 librispeech-mini)
stage=.carry/stage
rm -rf "$stage" .carry/part*
mkdir -p "$stage/speech"
for name in "${sets[@]}"; do cp -rL "$speech/$name" "$stage/speech/"; done
cp -rL "$model" "$stage/model"
for more in ${MODELS:-}; do cp -rL "${more#*=}" "$stage/${more%%=*}"; done
[ -d .carry/whl ] && cp -r .carry/whl "$stage/whl"
tree=$(git ls-files -z | xargs -0 du -cb | tail -n 1 | cut -f1)
tar -C "$stage" -cf - . | split -b $((62 - tree / 1048576))M -d -a 2 - .carry/all.
for part in .carry/all.*; do
    folder=.carry/part${part##*.}
    mkdir -p "$folder" && mv "$part" "$folder/p"
done
rm -rf "$stage"
ls -l .carry/part*/p
