"""`secateur models show`: the widths of a checkpoint, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..command import option

HELP = "What a checkpoint is made of: widths of every layer, parameters of every part, special tokens."
EXAMPLE = "secateur models show runs/demo/pruned"


@dataclass(frozen=True)
class Options:
    """Which."""

    model: str = option(help="a folder, or anything that `models fetch` takes", positional=True)


def run(options: Options) -> dict[str, Any]:
    """The config, and what the weights' header says is stored; no weight is read.

    Raises:
        SecateurError: no such model, or a header that does not fit the config.
    """
    from ...base.options import to_dict
    from ...models.weights.cache import cached, is_checkpoint, models_folder
    from ...models.weights.header import read_header
    from ...models.whisper.config import read_config

    folder = models_folder() / options.model if cached(options.model) else Path(options.model)
    if not is_checkpoint(folder):
        from ...base.extras import require

        require("torch", "train")
        from ...models.weights.fetch import fetch

        folder = fetch(options.model)
    config = read_config(folder / "config.json")
    header = read_header(folder / "model.safetensors")
    values = to_dict(config)
    return {
        "folder": str(folder), "config": {key: value for key, value in values.items() if key != "tokens"},
        "parameters": _stored_parts(folder, config, header), "types": sorted({t.type for t in header.values()}),
        "max_seconds": config.max_seconds, "tokens": values["tokens"],
    }  # fmt: skip


def _stored_parts(folder: Path, config: Any, header: dict[str, Any]) -> dict[str, int]:
    """Values stored a part, from the header, held against what the config says."""
    from ...base.errors import SecateurError
    from ...models.whisper.cost import count_parameters

    parts: dict[str, int] = dict.fromkeys(count_parameters(config), 0)
    for name, stored in header.items():
        part = name.replace("_norm.", ".").removesuffix(".weight").removesuffix(".bias")
        part = {"decoder.token_embedding": "vocabulary"}.get(part, part)
        while part not in parts and "." in part:
            part = part.rpartition(".")[0]
        if part not in parts:
            raise SecateurError(f"{folder}: unknown parameter '{name}' in model.safetensors")
        parts[part] += stored.values
        parts["total"] += stored.values
    for part, expected in count_parameters(config).items():
        if parts[part] != expected:
            raise SecateurError(f"{folder}: {part} has {parts[part]:,} values in model.safetensors, config.json says "
                                f"{expected:,}; the two files are not of one model")  # fmt: skip
    return parts


def show(result: dict[str, Any]) -> str:
    """A line a part."""
    config, parts, tokens = result["config"], result["parameters"], result["tokens"]
    lines = [
        f"{config['name']}: width {config['width']}, {config['vocabulary']} token rows, audio up to "
        f"{result['max_seconds']:.1f} s, {config['text_context']} text positions, "
        f"stored as {'/'.join(result['types'])}",
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
    named = {name: value for name, value in tokens.items() if isinstance(value, int) and not isinstance(value, bool)}
    lines.append("tokens: " + ", ".join(f"{name.replace('_', ' ')} {i}" for name, i in named.items()))
    lines.append(
        f"languages: {', '.join(tokens['languages']) or 'one (no language tokens)'}; never said: "
        f"{len(tokens['suppress'])} tokens, never first: {len(tokens['suppress_at_start'])}"
    )
    return "\n".join(lines)
