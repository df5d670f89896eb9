"""The study's tables from its result files.

python examples/founding/report.py
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from secateur.base.errors import SecateurError
from secateur.base.files import read_json
from secateur.evaluate.bootstrap import Difference, paired_difference
from secateur.evaluate.error_rate import Counts, count_errors

RESULTS = Path(__file__).resolve().parents[2] / "experiments" / "founding" / "results"
BACKENDS = ("tensorflow", "torch")
STRINGS = {"quiet": "40 dB", "noisy": "15 dB", "loud": "5 dB"}
TESTS = {"words": "single words", **{name: f"strings, {label}" for name, label in STRINGS.items()}}
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ARMS = {
    "dense": "dense, dropout and L1/L2",
    "pruned30": "30 % removed, dropout and L1/L2",
    "pruned65": "65 % removed, dropout and L1/L2",
    "dense-plain": "dense, neither",
    "pruned65-plain": "65 % removed, neither",
    "dense-dropout": "dense, dropout",
    "pruned65-dropout": "65 % removed, dropout",
    "dense-l2": "dense, L1/L2",
    "pruned65-l2": "65 % removed, L1/L2",
    "dense-lasso": "dense, group lasso",
    "pruned65-lasso": "65 % removed, group lasso",
    "zeros": "group lasso, zeros deleted",
    "wide": "1.6 times as wide, dense",
    "wide-pruned58": "1.6 times as wide, 58 % removed",
}
PAIRS = (
    ("dense", "pruned30"), ("dense", "pruned65"), ("dense-plain", "pruned65-plain"),
    ("dense-dropout", "pruned65-dropout"), ("dense-l2", "pruned65-l2"), ("dense-plain", "dense"),
    ("dense-plain", "pruned65"), ("pruned65-plain", "pruned65"), ("pruned65-plain", "pruned65-dropout"),
    ("pruned65-plain", "pruned65-l2"), ("dense-lasso", "pruned65-lasso"), ("pruned65-plain", "pruned65-lasso"),
    ("dense-plain", "zeros"), ("dense", "zeros"), ("dense", "wide-pruned58"), ("wide", "wide-pruned58"),
)  # fmt: skip

Run = dict[str, Any]
Runs = dict[tuple[str, str], list[Run]]  # by backend and arm
References = dict[str, list[str]]  # by test; a line is `id speaker words`


def tables(folder: Path = RESULTS) -> list[str]:
    """Everything as lines of Markdown: each arm's figures, the paired differences, how backends agree.

    Raises:
        SecateurError: no result files.
    """
    runs: Runs = {}
    for backend in BACKENDS:
        for arm in ARMS:
            found = [read_json(path) for path in sorted(folder.glob(f"{backend}-{arm}-[0-9].json"))]
            if found:
                runs[backend, arm] = found
    if not runs:
        raise SecateurError(f"{folder}: no results; run examples/founding/study.py")
    references = read_json(folder / "references.json")
    return [*arms_table(runs, references, folder), "", *pairs_table(runs, references), "", *agreement(runs, references)]


def arms_table(runs: Runs, references: References, folder: Path) -> list[str]:
    """Means over seeds, with their spread."""
    times = read_json(folder / "milliseconds.json") if (folder / "milliseconds.json").exists() else {}
    head = ["backend", "arm", "seeds", "parameters", "removed", "ms a word", "dev words right", "test words right"]
    head += [f"WER strings, {label}" for label in STRINGS.values()] + ["noises ignored"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for (backend, arm), found in runs.items():
        values = [
            backend, ARMS[arm], len(found), f"{mean(found, 'parameters'):,.0f}",
            f"{100 * removed(found):.0f} %", f"{times.get(f'{backend}-{arm}', '')}",
            f"{100 * mean(found, 'dev'):.1f} %",
            spread([100 - 100 * rate(run, ["words"], references) for run in found]),
            *(spread([100 * rate(run, [name], references) for run in found]) for name in STRINGS),
            f"{100 * mean(found, 'noise'):.0f} %",
        ]  # fmt: skip
        lines.append("| " + " | ".join(map(str, values)) + " |")
    return lines


def removed(found: list[Run]) -> float:
    """The share of the parameters that an arm's recipe removed, or that was zero."""
    if "zeros" not in found[0]:
        return float(found[0]["recipe"]["remove"])
    return 1 - mean(found, "parameters") / statistics.mean(run["zeros"]["parameters_before"] for run in found)


def pairs_table(runs: Runs, references: References) -> list[str]:
    """One arm against another on the same recordings and seeds: speakers resampled, seeds averaged."""
    lines = [
        "| backend | arm | against | " + " | ".join([*TESTS.values(), "all strings", "P(better), all strings"]) + " |",
        "|---" * (len(TESTS) + 5) + "|",
    ]
    for backend in BACKENDS:
        for control, arm in PAIRS:
            if (backend, control) not in runs or (backend, arm) not in runs:
                continue
            a, b = runs[backend, control], runs[backend, arm]
            each = [difference(a, b, [name], references) for name in TESTS]
            pooled = difference(a, b, list(STRINGS), references)
            cells = [points(d) for d in (*each, pooled)]
            lines.append(f"| {backend} | {ARMS[arm]} | {ARMS[control]} | {' | '.join(cells)} | {pooled.b_better:.3f} |")
    return lines


def agreement(runs: Runs, references: References) -> list[str]:
    """How far the two backends are from each other: the same file, and the same recipe."""
    far = [run["agreement"]["max_difference"] for found in runs.values() for run in found if "agreement" in run]
    lines = [
        f"The same saved models under the other backend: {len(far)} compared, probabilities differ by at most "
        f"{max(far, default=0.0):.0e}. The same recipe trained by torch instead of TensorFlow, errors in points, all "
        "strings:"
    ]
    for arm in ARMS:
        if all((backend, arm) in runs for backend in BACKENDS):
            d = difference(runs["tensorflow", arm], runs["torch", arm], list(STRINGS), references)
            lines.append(f"{ARMS[arm]}: {points(d)}.")
    zeros = [run["zeros"]["difference"] for found in runs.values() for run in found if "zeros" in run]
    if zeros:
        lines.append(f"Deleting zeros ({len(zeros)} networks) changed probabilities by at most {max(zeros):.0e}.")
    return [" ".join(lines), ""]


def points(d: Difference) -> str:
    """A difference in points, with its interval."""
    return f"{100 * d.delta:+.2f} ({100 * d.low:+.2f} to {100 * d.high:+.2f})"


def difference(a: list[Run], b: list[Run], tests: Sequence[str], references: References) -> Difference:
    """`secateur.evaluate`'s paired bootstrap over speakers, of the seeds that both have."""
    seeds = sorted({run["seed"] for run in a} & {run["seed"] for run in b})
    rows = [
        [[c.errors for c in counted(run, tests, references)] for run in runs if run["seed"] in seeds] for runs in (a, b)
    ]
    words = [c.reference for c in counted(a[0], tests, references)]
    speakers = [line.split()[1] for name in tests for line in references[name]]
    return paired_difference(rows[0], rows[1], words, speakers)


def counted(run: Run, tests: Sequence[str], references: References) -> list[Counts]:
    """Errors of every recording of some tests; "314" is three words, "-" none."""
    counts = []
    for name in tests:
        for line, heard in zip(references[name], run["heard"][name].split(), strict=True):
            words = " ".join(WORDS[int(digit)] for digit in heard if digit != "-")
            counts.append(count_errors(line.split(" ", 2)[2], words))
    return counts


def rate(run: Run, tests: Sequence[str], references: References) -> float:
    """Word error rate of one run."""
    counts = counted(run, tests, references)
    return sum(c.errors for c in counts) / sum(c.reference for c in counts)


def mean(found: list[Run], what: str) -> float:
    """Of all seeds."""
    return statistics.mean(run[what] for run in found)


def spread(values: list[float]) -> str:
    """Mean and standard deviation over seeds, in per cent."""
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{deviation}"


if __name__ == "__main__":
    print("\n".join(tables()))
