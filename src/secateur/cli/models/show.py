"""`secateur models show`: the widths of a checkpoint, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..command import option

HELP = "What a checkpoint is made of: widths of every layer, parameters of every part, special tokens."
EXAMPLE = "secateur models show runs/demo/pruned"


@dataclass(frozen=True)
class Options:
    """Which."""

    model: str = option(help="a folder, or anything that `models fetch` takes", positional=True)


def run(options: Options) -> dict[str, Any]:
    """The config and its parameter counts."""
    from pathlib import Path

    from ...base.options import to_dict
    from ...models.whisper.config import read_config
    from ...models.whisper.cost import count_parameters

    folder = Path(options.model)
    if not (folder / "config.json").is_file() or not ((folder / "tokenizer.json").is_file()):
        from ...models.weights.fetch import fetch

        folder = fetch(options.model)
    config = read_config(folder / "config.json")
    return {"config": to_dict(config), "parameters": count_parameters(config), "max_seconds": config.max_seconds}


def show(result: dict[str, Any]) -> str:
    """A line a part."""
    config, parts = result["config"], result["parameters"]
    lines = [
        f"{config['name']}: width {config['width']}, {config['vocabulary']} token rows, audio up to "
        f"{result['max_seconds']:.1f} s, {config['text_context']} text positions",
        f"{'part':38} {'widths':44} {'parameters':>11}",
    ]
    widths: dict[str, str] = {"vocabulary": f"{config['vocabulary']} rows"}
    for side in ("encoder", "decoder"):
        for i, layer in enumerate(config[side]):
            for part, value in layer.items():
                text = f"{value} units"
                if isinstance(value, dict):
                    text = f"{value['heads']} heads, query/key {value['query_key']}, value {value['value']}"
                widths[f"{side}.layers.{i}.{part}"] = text
    lines += [f"{part:38} {widths.get(part, ''):44} {count:11,}" for part, count in parts.items()]
    return "\n".join(lines)
