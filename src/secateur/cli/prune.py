"""`secateur prune`: find which parameters matter and remove the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..base.errors import SecateurError
from ..base.options import option
from ..prune.settings import PruneSettings
from ..train.settings import TrainSettings
from . import train as train_command

HELP = """Prune a model: gradually while it is fine-tuned, or at once without any training (--one-shot).

What is removed is gone from the files: vocabulary rows, contexts, heads, dimensions, FFN units, channels, layers.
--prune.remove is a share of the whole model. In a TOML file, [prune.amounts] sets shares by kind or name pattern:
    [prune.amounts]
    "decoder.layers.*.self_attention.heads" = 0.5
    ffn = 0.2"""
EXAMPLE = """secateur prune --learn mine/train.jsonl --target latency=0.5 --prune.map runs/map --out runs/fast
secateur prune --learn mine/train.jsonl --dev mine/dev.jsonl --prune.remove 0.5 --out runs/pruned
secateur prune --learn mine/train.jsonl --one-shot --prune.remove 0.45 --prune.criterion wanda --out runs/oneshot"""


@dataclass(frozen=True)
class Options(train_command.Options):
    """The run: what training takes, and what to prune."""

    target: str = option(
        "", help="what the model must keep to, of the dense one's: latency=0.5 (measured here), parameters=, macs=, "
        "size=, or wer=+0.5 (points on dev); the same as prune.target"
    )  # fmt: skip
    one_shot: bool = option(False, help="no training: rank on a few batches, cut once")
    train: TrainSettings = TrainSettings()
    prune: PruneSettings = PruneSettings()


def run(options: Options) -> dict[str, Any] | None:
    """Prune, with or without training."""
    from ..prune.methods import check_settings

    if options.target:
        options = replace(options, prune=replace(options.prune, target=options.target))
    check_settings(options.prune)
    if not options.one_shot:
        return train_command.run_arm_from(options, "pruned", options.prune)
    return _one_shot(options)


def _one_shot(options: Options) -> dict[str, Any]:
    from ..study.oneshot import prune_without_training
    from ..study.sets_of_job import read_job
    from ..weights.fetch import load_model

    if (options.out / "config.json").exists():
        raise SecateurError(f"{options.out}: a model is here; name another --out, or delete it")
    if options.stream:
        raise SecateurError("--one-shot hears a few batches: leave out --stream")
    settings = options.prune
    if settings.method == "refit":  # the default: what stays takes over while it trains
        settings = replace(settings, method="gradual")
    data = read_job(
        options.learn, options.dev, options.test, options.retain, options.noise, options.longest, options.device
    )
    model, tokenizer = load_model(options.model)
    return prune_without_training(model, tokenizer, data, settings, options.out)


def show(result: dict[str, Any]) -> str:
    """Error rates, size, time."""
    return train_command.show(result)
