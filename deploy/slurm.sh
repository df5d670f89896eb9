#!/usr/bin/env bash
# One training over several machines of a Slurm cluster, all of whose GPUs take a share of every batch:
#   sbatch --nodes 2 --gpus-per-node 4 deploy/slurm.sh adapt --model base --train mine/train.jsonl --out /shared/runs/mine
# The run folder and the data must be on storage that all machines see. A job that is killed or requeued goes on at its
# last state, on as many machines as it gets then.
#SBATCH --job-name=secateur
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail
first=$(scontrol show hostnames "${SLURM_JOB_NODELIST:?start this with sbatch}" | head -n 1)
# NVLink multicast is not there on every host; NCCL would fail late.
export NCCL_NVLS_ENABLE=0 OMP_NUM_THREADS=${OMP_NUM_THREADS:-4}
exec srun --kill-on-bad-exit=1 python3 -m torch.distributed.run \
    --nnodes "$SLURM_JOB_NUM_NODES" --nproc-per-node "${SLURM_GPUS_ON_NODE:-1}" \
    --rdzv-backend c10d --rdzv-id "$SLURM_JOB_ID" --rdzv-endpoint "$first:${PORT:-29500}" \
    -m secateur "$@"
