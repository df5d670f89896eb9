"""What commands print, in the user's language: lines through `translated`, tables through `shown_table`.

Speech, names and values are printed as they are; so is all of `--json`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..base.locale import columns, padded, translated
from ..evaluate.table import text_table


def shown_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns with titles and facts translated; the first column has names, which stay."""
    return text_table([*map(translated, titles)], [[first, *map(translated, rest)] for first, *rest in rows])


def with_titles(table: str) -> str:
    """A table that is text already, its titles translated in their places."""
    head, *rows = table.split("\n")
    line = ""
    for cell in re.finditer(r"\S+(?: \S+)*", head):  # a first title begins, the others end where they did
        word = translated(cell[0])
        line += padded("", (cell.end() - columns(word) if line else 0) - columns(line)) + word
    return "\n".join([line, *rows])
