"""`secateur prune`: find which parameters matter and remove the rest."""

from __future__ import annotations

from ..api.check import checked
from ..api.prune import PruneJobSettings, prune
from ..base.files import Json
from ..evaluate.table import arm_line

HELP = """Prune a model: gradually while it is fine-tuned, or at once without any training (--one-shot). With --by error
what harms it goes, without training: heads and units whose removal lowers the error rate on --train and on --dev.

What is removed is gone from the files: vocabulary rows, contexts, heads, dimensions, FFN units, channels, layers.
--prune.remove is a share of the whole model; --prune.amounts sets shares by kind or name pattern, in a TOML file as
    [prune.amounts]
    "decoder.layers.*.self_attention.heads" = 0.5
    ffn = 0.2"""
EXAMPLE = """secateur prune --train mine/train.jsonl --prune.target latency=0.5 --prune.map runs/map --out runs/fast
secateur prune --train mine/train.jsonl --dev mine/dev.jsonl --prune.remove 0.5 --out runs/pruned
secateur prune --by error --model base --train mine/train.jsonl --rehearsal-dev books/dev.jsonl --out runs/error
secateur prune --train mine/train.jsonl --one-shot --prune.remove 0.45 --prune.criterion wanda --out runs/oneshot"""


Options = PruneJobSettings


def run(options: PruneJobSettings) -> Json | None:
    """Run the job."""
    summary: Json | None = prune(options)
    return summary


def show(result: Json) -> str:
    """Error rates, size, time."""
    return checked(result) if result.get("check") else arm_line(result)
