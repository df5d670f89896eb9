"""`secateur prune`: find which parameters matter and remove the rest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base.errors import SecateurError
from ..prune.settings import PruneSettings
from ..train.settings import TrainSettings
from . import train as train_command
from .command import option

HELP = """Prune a model: gradually while it is fine-tuned, or at once without any training (--one-shot).

What is removed is gone from the files: vocabulary rows, contexts, heads, dimensions, FFN units, channels, layers.
--prune.remove is a share of the whole model. In a TOML file, [prune.amounts] sets shares by kind or name pattern:
    [prune.amounts]
    "decoder.layers.*.self_attention.heads" = 0.5
    ffn = 0.2"""
EXAMPLE = """secateur prune --learn mine/train.jsonl --dev mine/dev.jsonl --prune.remove 0.5 --out runs/pruned
secateur prune --learn mine/train.jsonl --one-shot --prune.remove 0.45 --prune.criterion wanda --out runs/oneshot"""


@dataclass(frozen=True)
class Options:
    """The run."""

    out: Path = option(help="folder for checkpoint, log and results")
    learn: tuple[Path, ...] = option(help="manifests to learn from, or to gather evidence on (JSONL)")
    model: str = option("tiny.en", help="a name, folder or file (see models fetch)")
    dev: tuple[Path, ...] = option((), help="manifests to choose on (default: split off by speaker)")
    test: tuple[Path, ...] = option((), help="manifests to report on (default: split off by speaker)")
    retain: tuple[Path, ...] = option((), help="manifests of what must not be forgotten")
    noise: tuple[Path, ...] = option((), help="recordings of noise to mix into training clips (see train.augment)")
    longest: float = option(21.0, help="seconds: longer clips are left out of training")
    one_shot: bool = option(False, help="no training: rank on a few batches, cut once")
    device: str = option("auto", help="cpu, cuda or auto")
    train: TrainSettings = TrainSettings(learning_rate=6e-5)
    prune: PruneSettings = PruneSettings()


def run(options: Options) -> dict[str, Any]:
    """Prune, with or without training."""
    from ..prune.pruner import check_settings

    check_settings(options.prune)
    if not options.one_shot:
        return train_command.run_arm_from(options, "pruned", options.prune)
    return _one_shot(options)


def _one_shot(options: Options) -> dict[str, Any]:
    from ..jobs.oneshot import prune_without_training
    from ..jobs.sets import job_data, pick_device, read_all
    from ..models.weights.fetch import load_model

    if (options.out / "config.json").exists():
        raise SecateurError(f"{options.out}: a model is here; name another --out, or delete it")
    data = job_data(
        read_all(options.learn), read_all(options.dev), read_all(options.test), read_all(options.retain),
        options.longest, pick_device(options.device), options.noise,
    )  # fmt: skip
    model, tokenizer = load_model(options.model)
    return prune_without_training(model, tokenizer, data, options.prune, options.out)


def show(result: dict[str, Any]) -> str:
    """Error rates, size, time."""
    return train_command.show(result)
