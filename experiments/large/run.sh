#!/usr/bin/env bash
# What was run on two GPUs of one host, after experiments/pack.sh and unpack.sh: `experiments/large/run.sh OUT [PART ...]`.
# Parts, in this order (all by default): `steps` needs both GPUs and nothing beside it, about 90 s; then `memory` on GPU 1
# and `bulk` on GPU 0, beside each other, about 240 s. Every part leaves JSON files and logs in OUT and never stops another.
set -uo pipefail
cd "$(dirname "$0")/../.."
out=$1 STAGE=${STAGE:-/tmp/stage}
shift
parts=${*:-steps memory bulk}
speech=$STAGE/speech/librispeech-mini base=${BASE:-$STAGE/base}
export PYTHONPATH=$PWD/src:$STAGE/site SECATEUR_BANKS=${SECATEUR_BANKS:-/tmp/banks} NCCL_NVLS_ENABLE=0 OMP_NUM_THREADS=2
export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1
here=experiments/large work=${WORK:-/tmp/large}
device=${DEVICE:-cuda}
mkdir -p "$out" "$work"
said() { echo "$(date -u +%T) $*" | tee -a "$out/progress.log"; }

steps() {
    local set="--model $base --train $speech/train.jsonl --dev $speech/dev.jsonl --test $speech/test.jsonl --device $device"
    local how="--training.distillation 0 --training.l2-sp 0 --training.learning-rate 2e-5 --longest 17
        --training.batch-seconds ${SECONDS_A_BATCH:-2200} --training.steps ${STEPS:-54} --training.validate-every 2 --training.save-every 1000"
    CUDA_VISIBLE_DEVICES=0 timeout 90 python3 $here/steps.py "$out/steps1.json" $set $how --out "$work/one" > "$out/one.log" 2>&1
    said "one GPU: $?"
    timeout 90 python3 -m torch.distributed.run --standalone --nproc-per-node 2 $here/steps.py "$out/steps2.json" $set $how \
        --out "$work/two" > "$out/two.log" 2>&1
    said "two GPUs: $?"
}

memory() {
    local data="speech=$speech model=$base device=$device clips=${CLIPS:-400}"
    local less="gradient_checkpointing=yes offload=yes"
    one() { # NAME CAP LABEL settings...; of CASES, where that names some
        [[ -z "${CASES:-}" || " $CASES " == *" $3 "* ]] || return 0
        CUDA_VISIBLE_DEVICES=${MEMORY_GPU:-1} timeout 80 python3 $here/memory.py "$work/memory-$3.json" "$1" "$2" $data "${@:4}" \
            >> "$out/memory.log" 2>&1
        said "memory $3: $?"
    }
    one "${MIDDLE:-turbo}" 24 turbo-24 optimizer=adafactor $less batch_seconds=160
    one "${MIDDLE:-turbo}" 24 turbo-24-adamw $less batch_seconds=160
    one "${MIDDLE:-turbo}" 0 turbo-default batch_seconds=160
    one "${LARGE:-large-v3}" 80 large-v3-80 $less batch_seconds=320
    one "${LARGE:-large-v3}" 80 large-v3-80-adafactor optimizer=adafactor $less batch_seconds=640
    one "${LARGE:-large-v3}" 0 large-v3-default batch_seconds=160
    python3 - "$out/memory.json" "$work"/memory-*.json <<'PY'
import json, pathlib, sys
found = {pathlib.Path(p).stem.removeprefix("memory-"): json.loads(pathlib.Path(p).read_text()) for p in sys.argv[2:]}
pathlib.Path(sys.argv[1]).write_text(json.dumps(found, indent=1))
PY
}

bulk() {
    # faster-whisper is needed as wheels beside the others (ctranslate2 and faster-whisper, without what they name)
    CUDA_VISIBLE_DEVICES=0 timeout "${BULK_SECONDS:-420}" python3 $here/bulk.py "$out/bulk.json" "$base" "$speech" "$work/bulk" \
        device=$device hours="${HOURS:-24}" peer_hours="${PEER_HOURS:-3.0}" ${BULK:-} > "$out/bulk.log" 2>&1
    said "bulk: $?"
}

said "begin: $parts"
for part in $parts; do [ "$part" = steps ] && steps; done
for part in $parts; do [ "$part" = memory ] && memory & [ "$part" = bulk ] && bulk & done
wait
said end
python3 $here/show.py "$out"
