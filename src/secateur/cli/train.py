"""`secateur train`: fine-tune a model, unpruned."""

from __future__ import annotations

from ..api.check import checked
from ..api.train import TrainJobSettings, train
from ..base.files import Json
from ..evaluate.table import arm_line

HELP = """Fine-tune a model on manifests, or train a new CTC model.

The weights are held near their start (--training.l2-sp). --rehearsal adds data that must not be forgotten; with
--training.distillation 0.7 the original model teaches there, for three times the time. --new.preset trains a small CTC
model from nothing (conformer, bigru, bilstm, googlenet, googlenet-bigru, digits; streaming-conformer and streaming-gru
for partial results), or a CTC output on a Whisper's encoder (--new.preset whisper --new.trunk tiny.en).

Writes a checkpoint, metrics.jsonl (a line a validation) and results; a killed run resumes. On several GPUs, or several
processes of a CPU, start it with torchrun: each batch is split over them, the steps are the same."""
EXAMPLE = """secateur train --train mine/train.jsonl --dev mine/dev.jsonl --out runs/tuned
secateur train --train mine/train.jsonl --out runs/tuned --config train.toml --training.learning-rate 5e-5
secateur train --train mine/train.jsonl --out runs/new --new.preset conformer --training.learning-rate 1e-3
secateur train --train 'packed/train-{000000..009999}.tar' --dev dev.jsonl --test test.jsonl --stream --out runs/large
torchrun --nproc-per-node 2 -m secateur train --train mine/train.jsonl --out runs/tuned"""


Options = TrainJobSettings


def run(options: TrainJobSettings) -> Json | None:
    """Run the job."""
    summary: Json | None = train(options)
    return summary


def show(result: Json) -> str:
    """Error rates, size, time."""
    return checked(result) if result.get("check") else arm_line(result)
