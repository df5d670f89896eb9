"""The study's tables from its result files.

    python examples/founding/report.py
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from secateur.base.errors import SecateurError
from secateur.base.files import read_json
from secateur.evaluate.bootstrap import Difference, paired_difference
from secateur.evaluate.error_rate import Counts, count_errors

RESULTS = Path(__file__).resolve().parents[2] / "experiments" / "founding" / "results"
BACKENDS = ("tensorflow", "torch")
SETS = {"words": "single words", "quiet": "strings, 40 dB", "noisy": "strings, 15 dB"}
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

Run = dict[str, Any]


def tables(folder: Path = RESULTS) -> str:
    """Everything as Markdown: each arm's figures, the paired differences, every run.

    Raises:
        SecateurError: no result files, or damaged ones.
    """
    runs = {backend: [read_json(path) for path in sorted(folder.glob(f"{backend}-*.json"))] for backend in BACKENDS}
    runs = {backend: found for backend, found in runs.items() if found}
    if not runs:
        raise SecateurError(f"{folder}: no results; run examples/founding/study.py")
    reference = read_json(folder / "references.json")
    lines = [*arms_table(runs, reference), "", *pairs_table(runs, reference), "", *runs_table(runs, reference)]
    return "\n".join(lines) + "\n"


def arms_table(runs: dict[str, list[Run]], reference: dict[str, list[str]]) -> list[str]:
    """Means over seeds of dense and pruned."""
    lines = [
        "| backend | network | seeds | single words right | WER strings, 40 dB | WER strings, 15 dB | noises ignored "
        "| parameters | removed | kB (ONNX) | ms a word |",
        "|---" * 11 + "|",
    ]
    for backend, found in runs.items():
        dense = mean(found, "dense", "parameters")
        for arm in ("dense", "pruned"):
            wer = {name: spread([100 * rate(run, arm, name, reference) for run in found]) for name in SETS}
            right = spread([100 - 100 * rate(run, arm, "words", reference) for run in found])
            parameters = mean(found, arm, "parameters")
            values = (
                backend, arm, len(found), f"{right} %", f"{wer['quiet']} %", f"{wer['noisy']} %",
                f"{100 * mean(found, arm, 'noise'):.0f} %", f"{parameters:,.0f}",
                f"{100 * (1 - parameters / dense):.0f} %", f"{mean(found, arm, 'bytes') / 1000:.0f}",
                f"{mean(found, arm, 'milliseconds'):.3f}",
            )  # fmt: skip
            lines.append("| " + " | ".join(map(str, values)) + " |")
    return lines


def pairs_table(runs: dict[str, list[Run]], reference: dict[str, list[str]]) -> list[str]:
    """Pruned against dense on the same recordings: speakers resampled, seeds averaged."""
    lines = [
        "| backend | test | recordings | error dense | error pruned | difference, points (95 %) | P(pruned better) |",
        "|---" * 7 + "|",
    ]
    for backend, found in runs.items():
        for name, label in SETS.items():
            d = paired(found, name, reference)
            lines.append(
                f"| {backend} | {label} | {len(reference[name])} | {100 * d.a:.2f} % | {100 * d.b:.2f} % "
                f"| {100 * d.delta:+.2f} ({100 * d.low:+.2f} to {100 * d.high:+.2f}) | {d.b_better:.3f} |"
            )
    return lines


def runs_table(runs: dict[str, list[Run]], reference: dict[str, list[str]]) -> list[str]:
    """Every run as it was."""
    lines = [
        "| run | steps | s dense | s pruned | dev right, dense / pruned | words wrong of "
        f"{len(reference['words'])}, dense / pruned | ONNX against Keras | other backend against Keras |",
        "|---" * 8 + "|",
    ]
    for backend, found in runs.items():
        for run in found:
            a, b = run["arms"]["dense"], run["arms"]["pruned"]
            wrong = [sum(c.errors for c in counted(run, arm, "words", reference)) for arm in ("dense", "pruned")]
            lines.append(
                f"| {backend} {run['seed']} | {run['steps']} | {a['seconds']:.0f} | {b['seconds']:.0f} "
                f"| {100 * a['dev']:.1f} / {100 * b['dev']:.1f} % | {wrong[0]} / {wrong[1]} "
                f"| {max(a['export_difference'], b['export_difference']):.0e} "
                f"| {run['agreement']['max_difference']:.0e} |"
            )
    return lines


def paired(found: list[Run], name: str, reference: dict[str, list[str]]) -> Difference:
    """`secateur.evaluate`'s paired bootstrap over speakers."""
    counts = {arm: [counted(run, arm, name, reference) for run in found] for arm in ("dense", "pruned")}
    rows = {arm: [[c.errors for c in run] for run in of_arm] for arm, of_arm in counts.items()}
    words = [c.reference for c in counts["dense"][0]]
    return paired_difference(rows["dense"], rows["pruned"], words, [line.split()[1] for line in reference[name]])


def counted(run: Run, arm: str, name: str, reference: dict[str, list[str]]) -> list[Counts]:
    """Errors of every recording of a test; a reference line is `id speaker words`, "314" is three words, "-" none."""
    heard = run["arms"][arm]["heard"][name].split()
    spoken = [" ".join(WORDS[int(digit)] for digit in one if digit != "-") for one in heard]
    return [count_errors(line.split(" ", 2)[2], one) for line, one in zip(reference[name], spoken, strict=True)]


def rate(run: Run, arm: str, name: str, reference: dict[str, list[str]]) -> float:
    """Word error rate of one run."""
    counts = counted(run, arm, name, reference)
    return sum(c.errors for c in counts) / sum(c.reference for c in counts)


def mean(found: list[Run], arm: str, what: str) -> float:
    """Of all seeds."""
    return statistics.mean(run["arms"][arm][what] for run in found)


def spread(values: list[float]) -> str:
    """Mean and standard deviation over seeds."""
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{deviation}"


if __name__ == "__main__":
    print(tables(), end="")
