"""Readings of polyphones, ours beside others': compare_polyphones.py [--cpp SENTENCES LABELS] [--results FILE].

SENTENCES and LABELS are those of the CPP set's test part (g2pM, Park and Lee 2020): a sentence a line with ▁ around the
character asked, its reading on the same line of the other file. Everyday sentences are those of the tests, which
the rules were written with. Compared are the rules, pypinyin alone, g2pM (PyPI, a network of 1.7 MB), and both. Tones
that one has as neutral and the other as full are equal, but not in "strict".
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from secateur.text.pinyin import Polyphones, Syllable, parse_syllable, syllables

EVERYDAY = Path(__file__).resolve().parent.parent / "tests" / "text" / "polyphones.tsv"
Reader = Callable[[str, int], str]


def ours(text: str, at: int, polyphones: Polyphones = "rules") -> str:
    """The reading of the character at a place; other characters than Chinese ones count as one word each run."""
    place = 0
    for one in syllables(text, polyphones):
        place = text.index(one, place) + len(one) if isinstance(one, str) else _next_han(text, place) + 1
        if place > at:
            return one.numbered if isinstance(one, Syllable) else one
    return ""


def _next_han(text: str, start: int) -> int:
    return next(i for i in range(start, len(text)) if "\u3400" <= text[i] <= "\u9fff" or text[i] == "〇")


def plain_pypinyin(text: str, at: int) -> str:
    """pypinyin with its dictionary of phrases."""
    import pypinyin

    read = pypinyin.lazy_pinyin(
        text, style=pypinyin.Style.TONE3, neutral_tone_with_five=True, errors=lambda run: list(run)
    )
    return str(read[at]) if len(read) == len(text) else ""


def g2pm() -> Reader:
    """The network of g2pM."""
    from g2pM import G2pM

    model = G2pM()
    return lambda text, at: str(model(text, char_split=True, tone=True)[at]).replace("u:", "v")


def alike(one: str, other: str, strict: bool) -> bool:
    """Whether two readings are the same; not `strict`: whatever tone a neutral one has elsewhere."""
    a, b = parse_syllable(one.replace("u:", "v") or "x"), parse_syllable(other.replace("u:", "v"))
    return a.sound == b.sound and (a.tone == b.tone or (not strict and 5 in (a.tone, b.tone)))


def measured(read: Reader, cases: Sequence[tuple[str, int, str]]) -> dict[str, float]:
    """Shares of right readings, and milliseconds a sentence."""
    start = time.perf_counter()
    given = [read(text, at) for text, at, _ in cases]
    seconds = time.perf_counter() - start
    pairs = [(one, label) for one, (_, _, label) in zip(given, cases, strict=True)]
    right = {
        name: sum(alike(one, label, name == "strict") for one, label in pairs) / len(cases)
        for name in ("right", "strict")
    }
    return {**right, "ms": 1000 * seconds / len(cases), "sentences": len(cases)}


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpp", type=Path, nargs=2, metavar=("SENTENCES", "LABELS"))
    parser.add_argument("--most", type=int, default=2000)
    parser.add_argument("--wrong", type=Path, help="write what the rules read otherwise")
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    rows = [row.split("\t") for row in EVERYDAY.read_text(encoding="utf-8").splitlines() if not row.startswith("#")]
    sets = {"everyday": [(text.replace("*", ""), text.index("*"), label) for text, label in rows]}
    if options.cpp:
        lines, labels = (path.read_text(encoding="utf-8").splitlines() for path in options.cpp)
        cases = [
            (line.replace("▁", "").rstrip(), line.index("▁"), label) for line, label in zip(lines, labels, strict=True)
        ]
        sets["cpp"] = random.Random(0).sample(cases, min(options.most, len(cases)))
    syllables("热身"), plain_pypinyin("热身", 0)
    readers: dict[str, Reader] = {"rules": ours, "pypinyin": plain_pypinyin}
    if importlib.util.find_spec("g2pM") is not None:
        readers["g2pM"] = g2pm()
        readers["rules, then g2pM"] = functools.partial(ours, polyphones="model")
    found = {title: {name: measured(read, cases) for name, read in readers.items()} for title, cases in sets.items()}
    print(json.dumps(found, indent=1))
    if options.results:
        options.results.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if options.wrong:
        wrong = [(text, text[at], label, ours(text, at)) for cases in sets.values() for text, at, label in cases]
        rows = ["\t".join(row) for row in wrong if not alike(row[3], row[2], strict=False)]
        options.wrong.write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
