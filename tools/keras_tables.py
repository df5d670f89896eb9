"""Which Keras models can be pruned and exported, and the founding example's runs: from the files that runs wrote."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import report as founding

from secateur.base.files import read_json
from secateur.evaluate.bootstrap import paired_difference
from secateur.evaluate.table import pipe_table

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
OUTCOMES = ("pruned", "masks only", "refused", "failed")


def with_its_run(path: Path) -> dict[str, Any]:
    """A result file, with what it says of its run (`how`) beside its figures."""
    values = read_json(path)
    return {**values, **values.get("how", {})}


def models_table() -> list[str]:
    """By backend and source how many came to what and the worst difference; then every model."""
    runs = [with_its_run(path) for path in sorted(RESULTS.glob("keras_models_*.json"))]
    head = ["backend", "source", "tried", *OUTCOMES, "worst masked against shrunk"]
    rows, each = [], []
    for run in runs:
        for source in (*sorted({one["source"] for one in run["models"]}), ""):
            some = [one for one in run["models"] if source in ("", one["source"])]
            counts = Counter(one["outcome"] for one in some)
            worst = max((one["difference"] for one in some if "difference" in one), default=0.0)
            numbers = [str(counts[outcome]) for outcome in OUTCOMES]
            rows.append([run["backend"], source or "all", str(len(some)), *numbers, f"{worst:.1g}"])
        each += [_row(run["backend"], one) for one in run["models"]]
    titles = ["backend", "model", "source", "parameters", "left", "masked against shrunk", "outcome"]
    dates = ", ".join(sorted({run["date"] for run in runs}))
    return [
        *pipe_table(head, rows), "", *pipe_table(titles, each), "",
        f"Keras {runs[0]['keras']}, {dates}, {runs[0]['machine']['cpu']}.", "",
    ]  # fmt: skip


def exports_table() -> list[str]:
    """By backend and format how many files came to what; by model how far each file is from Keras; why some are not."""
    runs = [with_its_run(path) for path in sorted(RESULTS.glob("keras_exports_*.json"))]
    rows, each, why = [], [], []
    for run in runs:
        found = {(one["name"], one["format"], one["precision"]): one for one in run["files"]}
        kinds = list(dict.fromkeys((kind, precision) for _, kind, precision in found))
        for kind in kinds:
            some = [one for (_, *file), one in found.items() if tuple(file) == kind]
            far = sorted(one["difference"] for one in some if "difference" in one)
            middle = f"{far[len(far) // 2]:.0e}" if far else ""
            rows.append([
                run["backend"], *kind, str(len(some)), str(len(far)), str(len(some) - len(far)), middle,
                f"{far[-1]:.0e}" if far else "",
            ])  # fmt: skip
        for name in dict.fromkeys(name for name, _, _ in found):
            cells = [found.get((name, *kind), {"outcome": "not tried"}) for kind in kinds]
            each.append([
                run["backend"], name,
                *(f"{one['difference']:.0e}" if "difference" in one else one["outcome"] for one in cells),
            ])  # fmt: skip
        why += [
            f"- {run['backend']}, {name}, {kind} {precision}: {_plain(one['reason'])[:300]}"
            for (name, kind, precision), one in found.items()
            if "reason" in one
        ]
    head = ["backend", "format", "precision", "files", "exported", "refused", "difference, median", "largest"]
    dates = ", ".join(sorted({run["date"] for run in runs}))
    about = f"Keras {runs[0]['keras']}, onnxruntime {runs[0]['machine']['onnxruntime']}, {dates}, "
    return [
        *pipe_table(head, rows), "", *pipe_table(["backend", "model", *map(" ".join, kinds)], each), "", *why,
        *([""] if why else []), f"{about}{runs[0]['machine']['cpu']}.", "",
    ]  # fmt: skip


def founding_table() -> list[str]:
    """Every arm of runs of `examples/founding/run.py`: what is left, word errors, the difference from dense."""
    lines = []
    for path in sorted(founding.RESULTS.parent.glob("*.json")):
        run = with_its_run(path)
        arms, references = run["arms"], run["references"]
        rows = []
        for arm, runs in arms.items():
            d = founding.difference(arms["dense"], runs, list(founding.STRINGS), references)
            left = f"{100 * founding.mean(runs, 'parameters') / founding.mean(arms['dense'], 'parameters'):.0f} %"
            zeros = max((one["zeros"]["difference"] for one in runs if "zeros" in one), default=None)
            rows.append([
                arm, str(len(runs)), f"{founding.mean(runs, 'parameters'):,.0f}", left,
                founding.spread([100 - 100 * founding.rate(one, ["words"], references) for one in runs]),
                founding.spread([100 * founding.rate(one, list(founding.STRINGS), references) for one in runs]),
                *(["", ""] if arm == "dense" else [founding.points(d), f"{d.b_better:.3f}"]),
                "" if zeros is None else f"{zeros:.0e}",
            ])  # fmt: skip
        titles = ["arm", "seeds", "parameters", "left", "test words right", "WER, all strings", "against dense, points",
                  "P(better)", "probabilities after deleting zeros differ by"]  # fmt: skip
        options = " ".join(
            f"--{name.replace('_', '-')} {' '.join(map(str, value)) if isinstance(value, list) else value}"
            for name, value in run["settings"].items()
            if name not in ("work", "ask", "formats") and (name != "lasso" or "zeros" in arms) and value is not None
        )
        about = (
            f"`KERAS_BACKEND={run['backend']} python examples/founding/run.py {options}`, {arms['dense'][0]['steps']} "
        )
        about += f"steps an arm, {run['date']}, {run['machine']['cpu']}."
        lines += [*pipe_table(titles, rows), "", *_mandarin(run["pinyin"]), about, ""]
    return lines


def _mandarin(run: dict[str, Any] | None) -> list[str]:
    """The same run's networks that write pinyin, where it has them."""
    if not run:
        return []
    rows, dense = [], run["arms"]["dense"]
    for arm, runs in run["arms"].items():
        a, b = ([one["errors"] for one in some] for some in (dense, runs))
        d = paired_difference(a, b, run["words"], run["speakers"])
        rows.append([
            arm, str(len(runs)), f"{founding.mean(runs, 'parameters'):,.0f}",
            f"{100 * founding.mean(runs, 'parameters') / founding.mean(dense, 'parameters'):.0f} %",
            founding.spread([100 * sum(one["errors"]) / sum(run["words"]) for one in runs]),
            *(["", ""] if arm == "dense" else [founding.points(d), f"{d.b_better:.3f}"]),
        ])  # fmt: skip
    titles = ["arm", "seeds", "parameters", "left", "errors of initials and finals, %", "against dense, points"]
    about = f"Mandarin: {run['train']} recordings to learn from, {len(run['words'])} test recordings of "
    about += f"{len(set(run['speakers']))} other speakers, {run['units']} initials and finals."
    return [about, "", *pipe_table([*titles, "P(better)"], rows), ""]


def _plain(text: str) -> str:
    """Without what Markdown would read."""
    return " ".join(re.sub(r"[|<>]", " ", text).split())


def _row(backend: str, one: dict[str, Any]) -> list[str]:
    left = f"{one['left']:,}" if "left" in one else ""
    difference = f"{one['difference']:.1g}" if "difference" in one else ""
    reason = _plain(one.get("reason", ""))
    what = one["outcome"] if one["outcome"] == "pruned" else f"{one['outcome']}: {reason[:240]}"
    size = f"{one['parameters']:,}" if "parameters" in one else ""
    return [backend, one["name"], one["source"], size, left, difference, what]
