# What was run on two GPUs, in one call of 205 s; cut short by its limit after the two runs on one GPU each.
. /tmp/x/env.sh
T="-m secateur train --model /tmp/stage/base --learn $D/speechocean762/train.jsonl --retain $D/librispeech-mini/train.jsonl --dev $D/speechocean762/dev.jsonl --test $D/speechocean762/dev.jsonl --train.distil 0 --train.learning-rate 2e-5 --train.validate-every 99"
R="python3 -m torch.distributed.run --standalone --nproc-per-node 2"
mkdir -p /tmp/d
echo "start $SECONDS"
CUDA_VISIBLE_DEVICES=0 timeout 60 python3 $T --train.steps 60 --train.batch-seconds 640 --out /tmp/d/one640 > /tmp/d/one640.log 2>&1; echo "one640 $? $SECONDS"
timeout 60 $R $T --train.steps 60 --train.batch-seconds 640 --out /tmp/d/two640 > /tmp/d/two640.log 2>&1; echo "two640 $? $SECONDS"
(CUDA_VISIBLE_DEVICES=0 timeout 100 python3 -m secateur study /tmp/x/base_two_gpus.toml --data $D --out /tmp/d/study1 --devices cuda:0 --only dense > /tmp/d/study1.log 2>&1; echo "study one GPU $? $SECONDS") &
(CUDA_VISIBLE_DEVICES=1 timeout 100 python3 -m secateur study /tmp/x/base_two_gpus.toml --data $D --out /tmp/d/study1b --devices cuda:0 --only dense --seeds 1 > /tmp/d/study1b.log 2>&1; echo "study one GPU seed 1 $? $SECONDS") &
wait
timeout 120 python3 -m secateur study /tmp/x/base_two_gpus.toml --data $D --out /tmp/d/study2 --devices cuda --processes 2 --only dense,sparse-taylor-30 > /tmp/d/study2.log 2>&1; echo "study two GPUs $? $SECONDS"
$R $T --train.steps 80 --train.batch-seconds 160 --train.save-every 10 --out /tmp/d/resumed > /tmp/d/resumed1.log 2>&1 &
p=$!
for i in $(seq 60); do [ -f /tmp/d/resumed/state.safetensors ] && break; sleep 0.5; done
kill -TERM $p; wait $p; echo "stopped on two: $? $SECONDS"; tail -2 /tmp/d/resumed1.log
CUDA_VISIBLE_DEVICES=0 timeout 40 python3 $T --train.steps 80 --train.batch-seconds 160 --train.save-every 10 --out /tmp/d/resumed > /tmp/d/resumed2.log 2>&1; echo "resumed on one: $? $SECONDS"; grep -h resuming /tmp/d/resumed2.log
for s in study1 study1b study2; do collect /tmp/d/$s; done
cd /tmp/d; tar czf $OUT/ddp.tgz *.log */metrics.jsonl */summary.json */masks*.json */*/metrics.jsonl */*/summary.json */*/masks*.json */*/log.txt */results 2>/dev/null
tail -n 2 */metrics.jsonl | cut -c1-300
