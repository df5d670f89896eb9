"""A model's widths in words, by the names that its parts have in a checkpoint (no torch)."""

from __future__ import annotations

from collections.abc import Iterator

from ..base.options import to_dict
from .family import Config, family_of


def widths(config: Config) -> dict[str, str]:
    """Heads, units and channels of every part that has a width of its own."""
    own = family_of(config).widths
    if own is not None:
        return own(config)
    parts = dict(_listed(to_dict(config)))
    rows = getattr(config, "vocabulary", None)
    parts |= {} if rows is None else {"vocabulary": f"{rows} rows"}
    for name, rank in getattr(config, "ranks", {}).items():  # of matrices that are a product of two
        part, _, matrix = name.rpartition(".")
        part, label = ("vocabulary", "rank") if part not in parts else (part, f"{matrix} rank")
        parts[part] = f"{parts.get(part, '')}, {label} {rank}"
    return parts


def _listed(values: object, where: str = "") -> Iterator[tuple[str, str]]:
    """Names and widths in a config that has the structure of its network."""
    if isinstance(values, dict) and "heads" in values:
        yield where, _heads(values)
    elif isinstance(values, dict):
        for key, value in values.items():
            name = ".".join(filter(None, (where, f"{key}.layers" if key in ("encoder", "decoder") else key)))
            if key == "channels" and isinstance(value, list):  # of a row of convolutions
                yield from ((f"{where}.convs.{i}", f"{n} channels") for i, n in enumerate(value))
            elif isinstance(value, dict | list) or any(piece.isdigit() for piece in where.split(".")):
                yield from _listed(value, name)
    elif isinstance(values, list):
        for i, value in enumerate(values):
            if isinstance(value, dict):
                yield from _listed(value, f"{where}.{i}")
    elif isinstance(values, int) and not isinstance(values, bool):
        yield where, f"{values} {'channels' if where.endswith('.conv') else 'units'}"


def _heads(widths: dict[str, int]) -> str:
    """The widths of one attention."""
    if "queries" in widths:
        shared = f", {widths['queries']} queries a head" if widths["queries"] > 1 else ""
        return f"{widths['heads']} heads{shared}"
    return f"{widths['heads']} heads, query/key {widths['query_key']}, value {widths['value']}"
