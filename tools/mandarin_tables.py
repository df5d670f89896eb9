"""Tables of Mandarin text from experiments/mandarin/results: commands, numbers, correction, punctuation, polyphones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from secateur.base.files import read_json
from secateur.evaluate.bootstrap import Difference, paired_difference
from secateur.evaluate.table import pipe_table, points

sys.path.insert(0, str(Path(__file__).resolve().parent))
import packed

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "experiments" / "mandarin" / "results"
STUDIES = ROOT / "experiments" / "study" / "results"
LISTS, SET = "mandarin_lists", "commonvoice-zh-cn"
LISTED = ("soup-0", "more-1", "pruned-1", "dense-5")  # runs whose lists were rescored


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


def stages_table() -> list[str]:
    """Runs of `mandarin_lists` after every stage, and the pruned one against the others at both ends."""
    runs = {name: read_json(packed.results(STUDIES / LISTS) / f"{name}.json") for name in LISTED}
    found = {name: read_json(packed.results(STUDIES / f"{LISTS}_corrected") / f"{name}+lm.json") for name in LISTED}
    published = read_json(packed.results(STUDIES / "mandarin") / "original-0.json")["summary"]["error"][SET]
    head = ["run", "removed or zero", "greedy, %", "the beam's likeliest, %", "rescored, %", "corrected, %",
            "against greedy (95 %)", "of the published model's", "head", "lm", "length", "a change"]  # fmt: skip
    rows = []
    for name, run in runs.items():
        one, greedy = found[name], run["summary"]["error"][SET]
        best, weights = one["rescored"], one["rescored"]["weights"]
        rows.append([
            name, f"{100 * run['summary']['removed_or_zero']:.0f} %",
            *(f"{100 * rate:.1f}" for rate in (greedy, best["likeliest"], best["rate"], one["after"])),
            _points(_paired(run["errors"][SET], one["errors"])), f"{one['after'] / published:.2f}",
            *(f"{weights[weight]:g}" for weight in ("head", "lm", "length")), f"{one['changed']:g}",
        ])  # fmt: skip
    titles = ["the pruned run against", "greedy, points (95 %)", "corrected, points (95 %)"]
    pruned, others = "pruned-1", [name for name in LISTED if name != "pruned-1"]
    against = [
        [
            name,
            _points(_paired(runs[name]["errors"][SET], runs[pruned]["errors"][SET])),
            _points(_paired(found[name]["errors"], found[pruned]["errors"])),
        ]
        for name in others
    ]
    return [*pipe_table(head, rows), "", *pipe_table(titles, against), ""]


def _paired(a: list[int], b: list[int]) -> Difference:
    """B against A on the test's clips, by speaker."""
    clips = read_json(packed.results(STUDIES / LISTS) / "clips.json")[SET]
    return paired_difference(a, b, [clip[2] for clip in clips], [clip[1] for clip in clips])


def _points(d: Difference) -> str:
    return f"{points(d.delta)} ({points(d.low)} to {points(d.high)})"


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
    "study-mandarin_lists-corrected": stages_table,
}
