"""The page at the end of a run: whether pruned is better, with intervals, and every file that was made.

python examples/founding/page.py runs/founding        # again from its result.json
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from assistant import named
from report import STRINGS, TESTS, difference, mean, points, rate, spread

from secateur.base.files import read_json, write_text
from secateur.evaluate import plots
from secateur.evaluate.bootstrap import Difference, paired_difference, rate_interval
from secateur.evaluate.markup import page, section, table

NAMES = {
    "dense": "dense", "pruned": "pruned while it learns", "zeros": "group lasso, zeros deleted",
    "fewer-features": "pruned, fewer features", "lower-rate": "pruned, lower sample rate",
}  # fmt: skip
WHAT = {
    ".onnx": "network for onnxruntime", ".tflite": "network for LiteRT", ".keras": "network for Keras",
    ".inputs.json": "features and rate that it reads", "_saved_model": "SavedModel",
    "result.json": "everything on this page as figures", "report.html": "what matters in the unpruned network",
    "map.json": "the same as figures", "heatmap.png": "the same as a picture", "table.md": "the same as a table",
    ".json": "figures of that network",
}  # fmt: skip
HEARD = 5  # Mandarin recordings that are shown


def write_page(result: dict[str, Any], work: Path) -> None:
    """Write `work`/index.html, one file that needs nothing from the network."""
    compared = differences(result)
    lower, fewest = result["settings"]["rate"], len(result["features"]["kept"])
    parts = [
        f"<header><h1>Spoken digits, pruned</h1><p class='lead'>{escape(verdict(result, compared))}</p></header>",
        section("Is pruned better?", _note(result), _digits(result) + _against(compared)),
    ]
    if compared:
        drawn = plots.forest([(NAMES[arm], tests["all strings"]) for arm, tests in compared.items()], "dense")
        parts.append(section("All strings of digits", "Left of zero: fewer errors than dense.", _figure(drawn)))
    kept = named(tuple(result["features"]["kept"]))
    note = (
        f"Each of the 39 MFCC features was silenced once in the unpruned network; on development words the loss rose "
        f"least without those deleted. These {fewest} stay: {kept}. The lower rate is {lower} Hz: nothing above "
        f"{lower // 2} Hz is read. <a href='map/report.html'>The whole map</a>."
    )
    parts.append(section("What may go from the input", note, _features(result)))
    if result["pinyin"]:
        parts.append(_mandarin(result["pinyin"]))
    rows = [[escape(said), escape(answer)] for said, answer in result["answers"]]
    parts.append(section("The assistant answers", "", table(("said", "answer"), rows, "By the pruned network")))
    parts.append(section("Files", "", _files(result, work)))
    parts.append(section("How it was made", "", _settings(result)))
    write_text(work / "index.html", page("Spoken digits, pruned", "\n".join(parts)))


def differences(result: dict[str, Any]) -> dict[str, dict[str, Difference]]:
    """Of every arm against the dense one, by test; speakers are resampled, seeds averaged."""
    arms, references = result["arms"], result["references"]
    tests = {**{label: [name] for name, label in TESTS.items()}, "all strings": list(STRINGS)}
    return {
        arm: {label: difference(arms["dense"], runs, names, references) for label, names in tests.items()}
        for arm, runs in arms.items()
        if arm != "dense"
    }


def better(d: Difference) -> str:
    """One word: only an interval without zero says which has fewer errors."""
    return "fewer" if d.high < 0 else "more" if d.low > 0 else "not certain"


def verdict(result: dict[str, Any], compared: dict[str, dict[str, Difference]]) -> str:
    """The answer in a sentence or two."""
    dense, count = result["arms"]["dense"], len(result["arms"]["dense"])
    said = []
    for arm, tests in compared.items():
        d = tests["all strings"]
        left = 100 * mean(result["arms"][arm], "parameters") / mean(dense, "parameters")
        word = {"fewer": "fewer errors than dense", "more": "more errors than dense"}.get(
            better(d), "neither certainly fewer nor more errors than dense"
        )
        said.append(f"{NAMES[arm]}, {left:.0f} % of the parameters: {word}, {points(d)} points")
    seeds = "one seed" if count == 1 else f"{count} seeds"
    return "Strings of digits, " + "; ".join(said) + f". {seeds.capitalize()}, {dense[0]['steps']} steps an arm."


def _note(result: dict[str, Any]) -> str:
    speakers = {line.split()[1] for line in result["references"]["words"]}
    return (
        f"Same data, seeds and steps in every arm. Differences are in points, in brackets a 95 % interval of a paired "
        f"bootstrap over the {len(speakers)} speakers, who are in training and test alike: nothing is said of new "
        "speakers. One training differs from the next by chance; the interval does not hold that, more seeds do."
    )


def _digits(result: dict[str, Any]) -> str:
    references, times = result["references"], result["milliseconds"]
    head = ["", "parameters", "bytes", "reads", "ms a word", "test words right"]
    head += [f"WER strings, {label}" for label in STRINGS.values()] + ["noises ignored"]
    rows = []
    for arm, runs in result["arms"].items():
        inputs = runs[0]["inputs"]
        reads = f"{len(inputs['columns'] or range(39))} features, {inputs['rate'] / 1000:g} kHz"
        rows.append([
            escape(NAMES[arm]), f"{mean(runs, 'parameters'):,.0f}", f"{mean(runs, 'bytes'):,.0f}", reads,
            f"{times[arm]:.3f}", spread([100 - 100 * rate(run, ["words"], references) for run in runs]),
            *(spread([100 * rate(run, [name], references) for run in runs]) for name in STRINGS),
            f"{100 * mean(runs, 'noise'):.0f} %",
        ])  # fmt: skip
    deleted = ""
    for run in result["arms"].get("zeros", []):
        zeros = run["zeros"]
        deleted += (
            f"<p>If it is zero, delete it (seed {run['seed']}): {zeros['parameters_before']:,} parameters became "
            f"{run['parameters']:,}, and probabilities differ by {zeros['difference']:.0e} at most.</p>"
        )
    return table(head, rows, "Every arm; word errors in per cent") + deleted


def _against(compared: dict[str, dict[str, Difference]]) -> str:
    if not compared:
        return ""
    labels = list(next(iter(compared.values())))
    rows = [
        [escape(NAMES[arm]), *(_coloured(d) for d in tests.values()), f"{tests['all strings'].b_better:.3f}",
         better(tests["all strings"])]
        for arm, tests in compared.items()
    ]  # fmt: skip
    return table(["", *labels, "P(better)", "errors"], rows, "Against dense, points of word errors")


def _coloured(d: Difference) -> str:
    word = {"fewer": " class='better'", "more": " class='worse'"}.get(better(d), "")
    change, _, interval = points(d).partition(" ")
    return f"<span{word}>{change}<br><small>{interval}</small></span>"


def _features(result: dict[str, Any]) -> str:
    loss = sorted(result["features"]["loss"].items(), key=lambda item: item[1])
    inputs = [(site, change) for site, change in loss if site.startswith(("input[", "mfcc", "delta", "all deltas"))]
    shown = [*inputs[:6], *inputs[-6:]]
    rows = [[escape(_feature(site)), f"{change:+.4f}"] for site, change in shown]
    return table(("feature", "change of the loss"), rows, "The six that matter least, and the six that matter most")


def _feature(site: str) -> str:
    return named((int(site[6:-1]),)) if site.startswith("input[") else site


def _mandarin(found: dict[str, Any]) -> str:
    words, speakers, arms = found["words"], found["speakers"], found["arms"]
    errors = {arm: [run["errors"] for run in runs] for arm, runs in arms.items()}
    rows = []
    for arm, runs in arms.items():
        low, high = rate_interval(errors[arm], words, speakers)
        rates = [100 * sum(run["errors"]) / sum(words) for run in runs]
        size = [f"{mean(runs, name):,.0f}" for name in ("parameters", "bytes")]
        rows.append([arm, *size, spread(rates), f"{100 * low:.1f} to {100 * high:.1f}"])
    d = paired_difference(errors["dense"], errors["pruned"], words, speakers)
    read = [len(line.split()) for run in arms["dense"] for line in run["heard"]]
    note = (
        f"Texts become pinyin: {found['units']} initials and finals without tones, CTC over the same GoogLeNet and a "
        f"recurrent layer; {found['train']} recordings to learn from, {len(words)} test recordings of "
        f"{len(set(speakers))} other speakers. Pruned against dense: {points(d)} points, P(better) {d.b_better:.3f}: "
        f"{better(d)}."
    )
    if sum(read) < 0.3 * sum(words) * len(arms["dense"]):
        note += " Neither has learned to write yet: so few steps say nothing about pruning."
    shown = [
        [escape(text), escape(sound), *(escape(arms[arm][0]["heard"][i]) for arm in arms)]
        for i, (text, sound) in enumerate(zip(found["texts"], found["references"], strict=True))
    ][:HEARD]
    titles = ("", "parameters", "bytes", "errors of initials and finals, %", "95 % interval")
    return section(
        "Mandarin, by its sound", note,
        table(titles, rows, "Pinyin errors") + table(("text", "pinyin", *arms), shown, "The first test recordings"),
    )  # fmt: skip


def _files(result: dict[str, Any], work: Path) -> str:
    """Everything that was made to be kept: a link, what it is, its size, and how far it is from Keras."""
    far = {f"{arm}.onnx": runs[0]["export_difference"] for arm, runs in result["arms"].items()}
    far |= {name: value["difference"] for name, value in result["formats"].items()}
    for arm, runs in (result["pinyin"] or {"arms": {}})["arms"].items():
        far[f"pinyin-{arm}.onnx"] = runs[0]["export_difference"]
    rows = []
    paths = [*work.glob("*"), *(work / "map").glob("*")]
    for path in sorted(paths, key=lambda p: (p.parent != work, p.name)):
        name = path.relative_to(work).as_posix()
        what = next((text for end, text in WHAT.items() if name.endswith(end)), "")
        if what:
            size = sum(p.stat().st_size for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file())
            distance = f"{far[name]:.0e}" if name in far else ""
            rows.append([f"<a href='{escape(name)}'>{escape(name)}</a>", escape(what), f"{size:,}", distance])
    agreed = result["agreement"]
    note = f"pruned.keras under the {agreed['with']} backend: probabilities differ by {agreed['max_difference']:.0e}."
    return table(("file", "what it is", "bytes", "differs from Keras by"), rows, "In this folder") + f"<p>{note}</p>"


def _settings(result: dict[str, Any]) -> str:
    rows = [[f"--{name.replace('_', '-')}", escape(str(value))] for name, value in result["settings"].items()]
    rows += [["backend", result["backend"]], ["machine", escape(result["machine"]["cpu"])], ["date", result["date"]]]
    rows += [["time of the whole run", f"{result['seconds']} s"]]
    rows += [[escape(name), escape(version)] for name, version in result["versions"].items()]
    return table(("setting", "value"), rows, "Settings, machine and versions")


def _figure(drawn: str) -> str:
    return f"<figure>{drawn}</figure>"


def main(words: Sequence[str]) -> None:
    """Write the page of a folder again."""
    work = Path(words[0])
    write_page(read_json(work / "result.json"), work)


if __name__ == "__main__":
    main(sys.argv[1:])
