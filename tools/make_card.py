"""Write the table of real use into a model card, from what was measured.

secateur evaluate MODEL SET/test.jsonl --conditions all --out measured/MODEL/SET      # and the same for the original
tools/make_card.py MODEL_CARD.md measured/MODEL measured/ORIGINAL

Every set and condition that both were measured in becomes a row, between the markers `<!-- real use -->` and
`<!-- /real use -->`; without markers the table is appended.
"""

from __future__ import annotations

import sys
from pathlib import Path

from secateur.base.files import write_text
from secateur.evaluate.real_use import read_results
from secateur.evaluate.real_use_table import changes, shown
from secateur.evaluate.table import pipe_table

BEGIN, END = "<!-- real use -->", "<!-- /real use -->"
WHAT = {"rate": "", "share": ", recordings with invented text", "s": ", median distance from the joints"}


def rows(model: Path, original: Path) -> list[list[str]]:
    """Cells: set and condition, original, model, difference with its interval, recordings no worse than before."""
    found = []
    for place in sorted(p for p in model.iterdir() if p.is_dir() and (original / p.name).is_dir()):
        for one in changes(read_results(original / place.name), read_results(place)):
            scale, digits = (1.0, 2) if one.unit == "s" else (100.0, 1)
            delta, low, high = (f"{scale * value:+.{digits}f}" for value in (one.delta, one.low, one.high))
            found.append([
                f"{place.name}: {one.name}{WHAT[one.unit]}", shown(one.a, one.unit), shown(one.b, one.unit),
                f"{delta} ({low} to {high})", f"{100 * one.no_worse:.1f} %",
            ])  # fmt: skip
    return found


def main(card: Path, model: Path, original: Path) -> None:
    """Put the table into the card."""
    titles = ["where", original.name, model.name, "difference (95 %)", "recordings no worse"]
    table = "\n".join([BEGIN, *pipe_table(titles, rows(model, original)), END])
    text = card.read_text(encoding="utf-8") if card.exists() else ""
    if BEGIN in text and END in text:
        text = text[: text.index(BEGIN)] + table + text[text.index(END) + len(END) :]
    else:
        text = f"{text.rstrip()}\n\n## Real use\n\n{table}\n"
    write_text(card, text)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
