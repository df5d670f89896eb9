"""`secateur models show`: the widths of a checkpoint, layer by layer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from ...base.files import Json
from ...base.locale import padded, translated
from ...base.options import Settings, option
from ...models.frame_merging import merges_in

HELP = "What a checkpoint or export is made of: widths of every layer, parameters of every part, special tokens."
EXAMPLE = "secateur models show runs/demo/pruned"
SECONDS, TOKENS = 10.0, 40  # of the clip whose cost is shown, and of its text
MOST = 40  # units that are written out
LAYER = re.compile(r"^(.*?\.\d+\.[^.]+).*$")  # a parameter's name up to the part of its layer


@dataclass(frozen=True)
class Options(Settings):
    """The model to describe."""

    model: str = option(
        help="Describe this: a checkpoint or exported folder, a bundled name, or anything that `models fetch` takes.",
        positional=True,
    )


def run(options: Options) -> Json:
    """The config, and what the weights' header or an export's record says is stored; no weight is read.

    Raises:
        SecateurError: no such model, or a header that does not fit the config.
    """
    from ...base.options import to_dict
    from ...base.tensors import read_header
    from ...models.describe import widths
    from ...models.family import family_of, read_config
    from ...models.reference import is_reference
    from ...runtime.contents import BUNDLED, CONTENTS, read_contents
    from ...weights.cache import cached, is_checkpoint, models_folder

    folder = models_folder() / options.model if cached(options.model) else Path(options.model)
    if not folder.exists() and (BUNDLED / options.model / CONTENTS).is_file():
        folder = BUNDLED / options.model
    exported = read_contents(folder) if (folder / CONTENTS).is_file() else None
    if exported is None and not is_checkpoint(folder):
        from ...base.extras import require

        require("torch", "train")
        from ...weights.fetch import fetch

        folder = fetch(options.model)
    config = read_config(folder / "config.json")
    values, family = to_dict(config), family_of(config)
    if exported is not None:
        parameters, types = _expected(config) or {}, [exported.precision]
        parameters |= {"total": family.parameters(config)}
    else:
        header = _referred(folder) if is_reference(folder) else read_header(folder / "model.safetensors")
        parameters, types = _stored_parts(folder, config, header), sorted({t.type for t in header.values()})
    seconds = min(SECONDS, config.max_seconds)
    return {
        "model": options.model, "folder": str(folder),
        "config": {key: value for key, value in values.items() if key != "tokens"},
        "parameters": parameters, "types": types, "exported": to_dict(exported),
        "max_seconds": config.max_seconds, "tokens": values.get("tokens"), "widths": widths(config),
        "macs": family.parts(config, seconds, TOKENS), "macs_seconds": seconds,
        "vocabulary": None if "tokens" in values else _units(folder / family.text_file),
    }  # fmt: skip


def _referred(folder: Path) -> dict[str, Any]:
    """What is stored where the entry `folder` of the cache refers to, under our names; from headers, too."""
    from ...base.tensors import TYPES, Stored
    from ...models.checkpoint import as_stored, load_checkpoint, shapes_only

    with shapes_only(), as_stored():
        state = load_checkpoint(folder)[0].state_dict()
    return {n: Stored(TYPES[str(v.dtype).removeprefix("torch.")], tuple(v.shape)) for n, v in state.items()}


def _units(path: Path) -> str:
    """The output units of a CTC model in a line."""
    from ...text.units import read_units

    units = read_units(path)
    kind = str(getattr(units, "kind", "units")).replace("tokenizer", "tokens")
    written = getattr(units, kind, None) or [units.decode([i]) for i in range(1, units.outputs)]
    some = " ".join(map(str, written[:MOST])) + (" ..." if len(written) > MOST else "")
    return f"{translated(f'vocabulary: {len(written)} {kind} ({units.language}) and the blank')}: {some}"


def _stored_parts(folder: Path, config: Any, header: Json) -> dict[str, int]:
    """Values stored for each part, from the header, compared with what the config says."""
    from ...base.errors import SecateurError
    from ...models.family import family_of

    expected = _expected(config)
    parts: dict[str, int] = dict.fromkeys(expected, 0)
    for name, stored in header.items():
        part = name.replace("_norm.", ".").removesuffix(".weight").removesuffix(".bias")
        part = "vocabulary" if part in ("decoder.token_embedding", "decoder.token_projection") else part
        if expected:
            while part not in parts and "." in part:
                part = part.rpartition(".")[0]
            if part not in parts:
                raise SecateurError(f"{folder}: unknown parameter '{name}' in model.safetensors")
        else:
            part = LAYER.sub(r"\1", name.rpartition(".")[0])
        parts[part] = parts.get(part, 0) + stored.values
    parts["total"] = sum(stored.values for stored in header.values())
    for part, count in (expected or {"total": family_of(config).parameters(config)}).items():
        if parts[part] != count:
            raise SecateurError(
                f"{folder}: {part} has {parts[part]:,} values in model.safetensors, config.json says "
                f"{count:,}; the two files are not of one model"
            )
    return parts


def _expected(config: Any) -> dict[str, int]:
    """Values of every part, where the family counts them by part."""
    from ...models.family import family_of

    count = family_of(config).parameters_by_part
    return {} if count is None else count(config)


def show(result: Json) -> str:
    """A line a part."""
    config, parts, tokens = result["config"], result["parameters"], result["tokens"]
    facts = [f"family {config['family']}"]
    facts += [f"width {config['width']}"] if "width" in config else []
    facts += [f"{config['vocabulary']} token rows"] if tokens else [f"{config['units']} outputs"]
    facts += [f"audio up to {result['max_seconds']:.1f} s"] if isfinite(result["max_seconds"]) else []
    facts += [f"{config['text_context']} text positions"] if tokens else []
    facts += [f"frames merged {merges}"] if (merges := merges_in(config)) else []
    facts.append(f"stored as {'/'.join(result['types'])}")
    title = padded(translated("parameters"), 11, right=True)
    name, own = config["name"], result["model"]
    called = name if name in (own, Path(own).name) else f"{own} ({name})"  # what was pruned keeps its origin's name
    lines = [
        f"{called}: {', '.join(map(translated, facts))}",
        f"{padded(translated('part'), 58)} {padded(translated('widths'), 32)} {title}",
    ]
    for part, count in parts.items():
        widths = padded(translated(result["widths"].get(part, "")), 32)
        lines.append(f"{padded(translated(part), 58)} {widths} {count:11,}")
    if exported := result["exported"]:
        files = {name: one["bytes"] / 1e6 for name, one in exported["files"].items()}
        listed = ", ".join(f"{name} {size:.1f} MB" for name, size in files.items() if size >= 0.05)
        made = f"exported from {exported['source']} by {exported['made_by']}: {sum(files.values()):.1f} MB"
        lines.append(f"{translated(made)} ({listed})")
    macs, seconds = result["macs"], result["macs_seconds"]
    each = ", ".join(f"{translated(part)} {count / 1e6:,.1f} M" for part, count in macs.items() if count)
    operations = translated(f"multiply-accumulates for {seconds:g} s: {sum(macs.values()) / 1e9:,.2f} G")
    lines.append(f"{operations} ({each})")
    if not tokens:
        return "\n".join([*lines, result["vocabulary"]])
    named = {name: value for name, value in tokens.items() if isinstance(value, int) and not isinstance(value, bool)}
    lines.append(f"{translated('tokens')}: " + ", ".join(f"{name.replace('_', ' ')} {i}" for name, i in named.items()))
    lines.append(
        translated(f"languages: {', '.join(tokens['languages']) or 'one (no language tokens)'}")
        + "; "
        + translated(f"never said: {len(tokens['suppress'])} tokens, never first: {len(tokens['suppress_at_start'])}")
    )
    return "\n".join(lines)
