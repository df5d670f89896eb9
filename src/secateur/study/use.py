"""Real use in studies: every arm under the conditions of `evaluate.conditions`; python -m secateur.study.use OUT."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from ..base.options import Settings, option
from ..base.progress import say
from ..data.manifest import Utterance, evenly, read_manifest
from ..evaluate.bootstrap import Difference, paired_difference
from ..evaluate.conditions import chosen
from ..evaluate.real_use import Results, measure, read_results, source_of, write_results
from ..evaluate.real_use_table import NONSPEECH, TIMESTAMPS, lines, shown
from ..evaluate.result import Result
from ..evaluate.table import text_table

FOLDER = "use"


@dataclass(frozen=True)
class StudyUse(Settings):
    """Conditions of real use that every arm is tested under, as `transcribe` decodes."""

    conditions: tuple[str, ...] = option((), "Test under these conditions: all, or names such as pause-2 and prompt.")
    clips: int = option(100, "Build them from this many clips of each test set, evenly spread.", unit="clips", least=2)
    nonspeech: str = option("", "Measure invented text on this manifest; left out: on generated sounds.")
    tests: tuple[str, ...] = option((), "Build them from these test sets; left out: from all.")
    seed: int = option(0, "Seed the pauses, joints and prompts.", advanced=True)


def measure_arm(use: StudyUse, folder: Path, tests: Mapping[str, Sequence[Utterance]], data: Path, device: str) -> None:
    """Test the checkpoint in `folder` and keep a result file each in folder/use/TEST; what is there is not repeated."""
    from ..runtime.recogniser import Recogniser

    names = chosen(use.conditions)
    recogniser = Recogniser.load(folder, None, device)
    silent = list(read_manifest(data / use.nonspeech)) if use.nonspeech else []
    for test in use.tests or tests:
        target = folder / FOLDER / test
        left = [name for name in names if not (target / f"{name}.json").exists()]
        if left:
            say(f"{folder.name}: {test}, {len(left)} conditions of real use")
            clips = [u for u in tests[test] if u.text]
            source = source_of(evenly(clips, use.clips), recogniser.sample_rate, silent, use.seed)
            write_results(target, measure(recogniser, source, left, model=folder.name, data=test))


def read_arms(out: Path) -> dict[str, dict[str, list[Results]]]:
    """By test set and arm, the results of every seed."""
    results_by_test: dict[str, dict[str, list[Results]]] = {}
    for folder in sorted(out.glob(f"*-*/{FOLDER}/*")):
        arm = folder.parent.parent.name.rpartition("-")[0]
        results_by_test.setdefault(folder.name, {}).setdefault(arm, []).append(read_results(folder))
    return results_by_test


def pooled(a: Sequence[Result], b: Sequence[Result], name: str) -> tuple[Difference, float]:
    """B against A over all seeds, paired, and the share of recordings in which B has no more errors than A."""

    def value(result: Result) -> list[float]:
        rows = {row.id: row for row in result.rows}
        ordered = [rows[row.id] for row in a[0].rows]
        if name == TIMESTAMPS:
            return [mean(row.extras["joints"]) for row in ordered]
        return [float(bool(row.hypothesis)) if name == NONSPEECH else float(row.counts.errors) for row in ordered]

    first, second = [value(one) for one in a], [value(one) for one in b]
    single = name in (NONSPEECH, TIMESTAMPS)
    words = [1.0 if single else float(row.counts.reference) for row in a[0].rows]
    means = [[mean(column) for column in zip(*side, strict=True)] for side in (first, second)]
    no_worse = mean(y <= x + 1e-9 for x, y in zip(*means, strict=True))
    return paired_difference(first, second, words, [row.speaker for row in a[0].rows], resamples=2000), no_worse


def arm_table(arms: Mapping[str, Sequence[Results]], original: str, control: str) -> str:
    """Every arm and condition: the mean over seeds, against the original and against the control."""
    rows = []
    for name in next(iter(arms[original])):
        for arm, seeds in arms.items():
            have = [one for one in seeds if name in one]
            if not have:
                continue
            lines_of_arm = [next(line for line in lines(one) if line.name == name) for one in have]
            cells = [name, arm, str(len(have)), shown(mean(f.value for f in lines_of_arm), lines_of_arm[0].unit)]
            for other in (original, control):
                if other == arm or other not in arms or name not in arms[other][0]:
                    cells += ["", ""] if other == original else [""]
                    continue
                against = [one[name] for one in arms[other] if name in one]
                difference, no_worse = pooled(against, [one[name] for one in have], name)
                scale = 1.0 if lines_of_arm[0].unit == "s" else 100.0
                delta, low, high = (scale * one for one in (difference.delta, difference.low, difference.high))
                text = f"{delta:+.2f} ({low:+.2f} to {high:+.2f})"
                cells += [text, f"{100 * no_worse:.1f} %"] if other == original else [text]
            rows.append([*cells, f"{100 * mean(f.loops for f in lines_of_arm):.1f} %"])
    titles = ["condition", "arm", "seeds", "value", f"against {original}", "no worse", f"against {control}", "loops"]
    return text_table(titles, rows)


def show(out: Path, original: str = "original", control: str = "dense") -> str:
    """The tables of all test sets."""
    return "\n\n".join(
        f"{test}\n{arm_table(arms, original if original in arms else next(iter(arms)), control)}"
        for test, arms in read_arms(out).items()
    )


if __name__ == "__main__":
    print(show(Path(sys.argv[1]), *sys.argv[2:]))
