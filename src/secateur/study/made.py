"""The origin of a run in a line: its data, hours, steps and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..base.files import Json, read_json, write_json
from ..data.clip_index import durations_of
from ..data.job import JobData

FILE = "data.json"  # beside run.json
CONTROL = "dense"  # the arm that is trained for the same steps and not pruned


def is_control(name: str) -> bool:
    """Whether a result is an unpruned control's: `dense`, or one of its seeds (`dense-1`)."""
    base, _, seed = name.rpartition("-")
    return CONTROL in (name, base if seed.isdigit() else "")


def write_data(out: Path, data: JobData) -> None:
    """Record in a run folder how much was trained on."""
    sets = {"train": data.training, "rehearsal": data.rehearsal}
    amounts = {
        name: {"clips": len(clips), "hours": round(float(sum(durations_of(clips))) / 3600, 3)}
        for name, clips in sets.items()
    }
    write_json(out / FILE, amounts)


def read_made(folder: Path) -> Json:
    """What a run folder records of its making: `settings`, and `amounts` of data; empty where it does not."""
    made: Json = {}
    for key, name, part in (("settings", "run.json", "settings"), ("amounts", FILE, None)):
        if (folder / name).exists():
            values = read_json(folder / name)
            values = values.get(part) if part and isinstance(values, dict) else values
            if isinstance(values, dict):
                made[key] = values
    return made


def made_line(made: Mapping[str, Any], logs: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Data, hours, steps and the settings that matter most; empty for a folder that records none of them."""
    settings, amounts = made.get("settings", {}), made.get("amounts", {})
    parts = []
    for name in ("train", "rehearsal"):
        amount, manifests = amounts.get(name, {}), settings.get(name) or []
        if amount.get("clips"):
            names = f" ({', '.join(map(str, manifests))})" if manifests else ""
            hours, clips = f"{amount['hours']:.2f}", f"{amount['clips']:,}"
            trained = f"trained on {hours} h, {clips} clips{names}"
            parts.append(trained if name == "train" else f"rehearsal of {hours} h, {clips} clips{names}")
    steps = {name: log[-1]["step"] for name, log in logs.items() if log and "step" in log[-1]}
    if steps:
        same = len(set(steps.values())) == 1
        listed = ", ".join(f"{name} {count:,}" for name, count in steps.items())
        each = " each" if len(steps) > 1 else ""
        parts.append(f"{next(iter(steps.values())):,} steps{each} ({', '.join(steps)})" if same else f"steps: {listed}")
    training, prune = settings.get("training", {}), settings.get("prune", {})
    for label, values, key in (
        ("start", settings, "model"), ("learning rate", training, "learning_rate"),
        ("batch, s", training, "batch_seconds"), ("method", prune, "method"), ("remove", prune, "remove"),
        ("target", prune, "target"), ("criterion", prune, "criterion"), ("seed", training, "seed"),
    ):  # fmt: skip
        if values.get(key) not in (None, ""):
            parts.append(f"{label} {values[key]}")
    line = "; ".join(parts)
    return line[:1].upper() + line[1:] + "." if line else ""
