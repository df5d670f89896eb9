"""`secateur data check`: what is wrong with a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...base.files import Json
from ...base.locale import translated
from ...base.options import Settings, option

HELP = "Decode every file and look at every transcript; exit code 1 when there are problems."
EXAMPLE = """secateur data check set/train.jsonl
secateur data check set/train.jsonl set/test.jsonl --clipped 0.02 --workers 8
secateur data check set/train.jsonl --write set/train-sound.jsonl"""

SHOWN = 40  # problems in the table; --json lists all


@dataclass(frozen=True)
class Options(Settings):
    """What is checked, and from where on something is a problem."""

    manifests: tuple[str, ...] = option(help="Check these data sets: JSONL, or set-{000..123}.tar.", positional=True)
    audio: bool = option(True, "Decode the audio; no looks at texts and for missing files only.")
    workers: int = option(2, "Decode this many files at a time.", unit="files", least=1)
    clipped: float = option(
        0.01, "Report a clip with more than this share of samples at full scale.", unit="share", least=0, most=1
    )
    duration: float = option(0.1, "Report a duration that is off by more than this, and 1 %.", unit="s", least=0)
    rate_factor: float = option(
        3.0, "Report a transcript this many times as fast, or as slow, as is usual.", unit="times", above=1
    )
    write: Path | None = option(
        None, "Write a manifest of the utterances without problems (one input only).", writes=".jsonl"
    )


def run(options: Options) -> Json:
    """Check each manifest on its own; `_exit` is 1 when anything was found."""
    from ...base.errors import SecateurError
    from ...data.check import CheckSettings, Kind, Problem, check
    from ...data.manifest import ManifestFile, manifest_writer
    from ...data.summary import Overview

    if options.write is not None and len(options.manifests) != 1:
        raise SecateurError("--write needs exactly one manifest")
    settings = CheckSettings(clipped=options.clipped, duration=options.duration, rate_factor=options.rate_factor)
    problem_rows: list[dict[str, str]] = []
    checked, remarks = 0, []
    for name in options.manifests:
        utterances = ManifestFile(name, tolerant=True)
        problems = check(utterances, settings, options.workers, options.audio)
        for fault in utterances.faults:
            kind: Kind = "same-id" if fault.id else "line"
            problems.append(Problem(kind, fault.id or fault.where, fault.problem, fault.audio or utterances.path))
        checked += utterances.count
        overview = Overview(utterances)
        few = [language for language, count in overview.languages.items() if count < settings.few]
        remarks += [f"{name}: {remark}" for remark in overview.remarks()]
        if few:
            remarks.append(
                f"{name}: fewer than {settings.few} transcripts in {', '.join(few)}, too few to judge unusual speeds "
                "and characters by"
            )
        if overview.empty:
            remarks.append(f'{name}: {overview.empty} clips have the text "" and are taken to hold no speech')
        problem_rows += [
            {"manifest": name, "id": p.id, "problem": p.kind, "detail": p.detail, "audio": str(p.audio)}
            for p in problems
        ]
        if options.write is not None:
            bad = {p.id for p in problems}
            with manifest_writer(options.write) as write:
                for u in utterances:
                    if u.id not in bad:
                        write(u)
    return {"utterances": checked, "problems": problem_rows, "remarks": remarks, "_exit": 1 if problem_rows else 0}


def show(result: Json) -> str:
    """A table of the first problems, and how many there are of each kind."""
    from collections import Counter

    from ...data.check import MEANING

    problems = result["problems"]
    remarks = [translated(f"remark: {remark}") for remark in result["remarks"]]
    if not problems:
        return "\n".join([*remarks, translated(f"{result['utterances']} utterances, no problems")])
    counts = Counter(p["problem"] for p in problems)
    width = max(len(p["id"]) for p in problems[:SHOWN])
    lines = [f"{p['problem']:11} {p['id']:{width}}  {translated(p['detail'])}" for p in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(translated(f"... and {len(problems) - SHOWN} more (--json lists all)"))
    lines += ["", *(f"{count:6} {kind:11} {translated(MEANING[kind])}" for kind, count in counts.most_common())]
    return "\n".join([*lines, *remarks, translated(f"{result['utterances']} utterances, {len(problems)} problems")])
