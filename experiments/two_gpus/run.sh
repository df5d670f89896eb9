#!/usr/bin/env bash
# What was run on two GPUs of one host (2026-11-26, two H200s), after experiments/pack.sh and unpack.sh: `experiments/two_gpus/run.sh OUT`.
# First alone on the machine: one process, then two. Then, beside other studies: a study on both, a run stopped on two and
# resumed on one. `one640` and `two640` in results/: the same training on 2026-11-24, 60 steps of 640 s on speechocean762.
set -uo pipefail
cd "$(dirname "$0")/../.."
out=$1 STAGE=${STAGE:-/tmp/stage}
speech=$STAGE/speech
export PYTHONPATH=$PWD/src:$STAGE/site SECATEUR_BANKS=${SECATEUR_BANKS:-/tmp/banks} OMP_NUM_THREADS=2 NCCL_NVLS_ENABLE=0
mkdir -p "$out"
one="python3" two="python3 -m torch.distributed.run --standalone --nproc-per-node 2"
train="-m secateur train --model $STAGE/base --training.distillation 0 --training.l2-sp 0 --training.learning-rate 2e-5"
books="--train $speech/librispeech-mini/train.jsonl --dev $speech/librispeech-mini/dev.jsonl --test $speech/librispeech-mini/dev.jsonl"
large="--longest 17 --training.batch-seconds 2200 --training.steps 48 --training.validate-every 2 --training.save-every 1000"
CUDA_VISIBLE_DEVICES=0 timeout 60 $one $train $books $large --out "$out/one" > "$out/one.log" 2>&1; echo "one: $?"
timeout 60 $two $train $books $large --out "$out/two" > "$out/two.log" 2>&1; echo "two: $?"
timeout 300 python3 -m secateur study experiments/study/base.toml --data "$speech" --out "$out/study2" --devices cuda --processes 2 \
    --only dense,sparse-taylor-30 --seeds 0 > "$out/study2.log" 2>&1; echo "study on two: $?"
both="--train $speech/speechocean762/train.jsonl --rehearsal $speech/librispeech-mini/train.jsonl --dev $speech/speechocean762/dev.jsonl"
short="--test $speech/speechocean762/dev.jsonl --training.steps 60 --training.save-every 10 --training.validate-every 0.15 --out $out/resumed"
$two $train $both $short > "$out/resumed1.log" 2>&1 & process=$!
for _ in $(seq 240); do [ -f "$out/resumed/state.safetensors" ] && break; sleep 0.5; done
kill -TERM $process; wait $process; echo "stopped on two: $?"
CUDA_VISIBLE_DEVICES=0 timeout 100 $one $train $both $short > "$out/resumed2.log" 2>&1; echo "resumed on one: $?"
grep -h resuming "$out/resumed2.log"
