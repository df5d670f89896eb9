"""Tables of Mandarin text from experiments/mandarin/results: commands, numbers, correction, punctuation, polyphones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from secateur.base.files import read_json
from secateur.evaluate.table import pipe_table

RESULTS = Path(__file__).resolve().parent.parent / "experiments" / "mandarin" / "results"


def text_table() -> list[str]:
    """Rules held by tables of the tests: right now, and before where it was measured."""
    now, before = read_json(RESULTS / "text.json"), _before()
    names = {**{f"commands: {name}": name for name in now["commands"]}}
    rows = [[title, _share(now["commands"][name]), _share(before.get(name))] for title, name in names.items()]
    rows.append(
        ["numbers read, as error rates compare them", _share(now["numbers read"]), _share(before.get("numbers read"))]
    )
    rows.append(["numbers written back", _share(now["numbers written"]), _share(before.get("numbers written"))])
    entries = now["catalogue"]
    total = entries["entries"] + entries["missing"] - entries["stale"]
    done = {"right": entries["entries"] - entries["stale"], "of": total}
    rows.append(["messages translated", _share(done), _share(before.get("catalogue"))])
    return [*pipe_table(["what", "right", "before"], rows), ""]


def first_look_table() -> list[str]:
    """Fresh sentences, whose outcome was written down before any rule was tried on them, in rounds."""
    titles = {
        "zh_must": "commands: zh, must act", "zh_not": "commands: zh, must not act",
        "en_must": "commands: en, must act",
        "en_not": "commands: en, must not act", "norm": "numbers read: zh, as error rates compare them",
        "zh_num": "numbers written back: zh", "en_num": "numbers written back: en", "pinyin": "polyphones",
        "tones": "spoken tones",
    }  # fmt: skip
    rounds = read_json(RESULTS / "first_look.json")["rounds"]
    rows = [[title, *(_share(one.get(name)) for one in rounds)] for name, title in titles.items()]
    return [*pipe_table(["kind", *(f"round {i}" for i in range(1, len(rounds) + 1))], rows), ""]


def correction_table() -> list[str]:
    """What correction changes of correct text at its default."""
    found = read_json(RESULTS / "text.json")["correction"]
    rows = [
        [name, f"{one['of']:,}", f"{100 * one['characters']:.2f} %", f"{100 * one['sentences']:.1f} %"]
        for name, one in found.items()
    ]
    return [*pipe_table(["correct text", "sentences", "characters changed", "sentences changed"], rows), ""]


def punctuation_table() -> list[str]:
    """Marks within texts, restored from characters alone."""
    keys = ("precision", "recall", "f1", "right_kind")
    rows = [
        [name, f"{one['texts']:,}", f"{one['marks']:,}", *(f"{100 * one[key]:.0f} %" for key in keys)]
        for name, one in read_json(RESULTS / "punctuation.json").items()
    ]
    return [*pipe_table(["set", "texts", "marks", "precision", "recall", "F1", "of the right kind"], rows), ""]


def polyphones_table() -> list[str]:
    """Readings of polyphones by rules, by pypinyin and by a network."""
    found = read_json(RESULTS / "polyphones.json")
    readers = list(next(iter(found.values())))
    rows = [[reader, *(f"{100 * one[reader]['right']:.1f} %" for one in found.values())] for reader in readers]
    head = ["reader", *(f"{name}, {next(iter(one.values()))['sentences']:,} sentences" for name, one in found.items())]
    return [*pipe_table(head, rows), ""]


def _before() -> dict[str, Any]:
    """The same counts before, of the tables of today (`measure_mandarin.py` at that commit), where there are some."""
    path = RESULTS / "before.json"
    if not path.exists():
        return {}
    found = read_json(path)
    return {**found, **found.get("commands", {})}


def _share(one: dict[str, int] | None) -> str:
    return "" if one is None else f"{one['right']:,} of {one['of']:,} ({100 * one['right'] / max(one['of'], 1):.1f} %)"


TABLES = {
    "zh_text": text_table,
    "zh_first_look": first_look_table,
    "zh_correction": correction_table,
    "zh_punctuation": punctuation_table,
    "zh_polyphones": polyphones_table,
}
