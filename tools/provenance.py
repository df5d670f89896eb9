"""Where a table comes from, in a line below each of results/: command, commit, machine, date, what it is compared with.

What a result file says itself (`how`, from benchmarks/recorded.py; older ones a part of it) is taken from there, of a
study from its TOML file and its runs; the rest from tools/sources.toml. A table that lacks one of the five is an error.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import packed

from secateur.base.files import read_json
from secateur.study.settings import read_study

ROOT = Path(__file__).resolve().parent.parent
SOURCES: dict[str, Any] = tomllib.loads((ROOT / "tools" / "sources.toml").read_text(encoding="utf-8"))
STUDIES = "experiments/study/results/"


@dataclass(frozen=True)
class Source:
    """Of one result file or archive."""

    command: str
    commit: str
    machine: str
    date: str

    def __str__(self) -> str:
        return f"`{self.command}` · {self.commit} · {self.machine} · {self.date}"


def below(table: str) -> list[str]:
    """The lines below a table of results/.

    Raises:
        LookupError: the table is in no list, or something of its files is not known.
    """
    if table in SOURCES["tables"]:
        files, against = SOURCES["tables"][table]
    elif table.startswith("study-"):
        name = table.removeprefix("study-")
        files, against = [f"{STUDIES}{name}"], controls(name)
    else:
        raise LookupError(
            f"the table '{table}' is not in tools/sources.toml: name its files, and what they compare with"
        )
    sources = dict.fromkeys(str(source(file)) for file in files)
    first, *more = (f"Source: {one}<br>" for one in sources)
    return [f"<sub>{first}", *more, f"Compared with: {against}</sub>", ""]


def controls(name: str) -> str:
    """What the arms of a study are compared with."""
    study = read_study(ROOT / "experiments" / "study" / f"{name}.toml")
    own = sorted({f"`{arm.control}`" for arm in study.arms.values() if arm.control} - {f"`{study.control}`"})
    others = f" (some arms with {', '.join(own)})" if own else ""
    return f"arm `{study.control}`{others}, on the same clips, paired by speaker"


def source(file: str) -> Source:
    """What is known of a result file, its own words first.

    Raises:
        LookupError: one of the facts is not known; the file and the fact are named.
    """
    known = {**of_study(file), **SOURCES["files"].get(file, {})}
    if "committed" in known:
        known["commit"] = f"results in commit `{known.pop('committed')}`"
    known |= of_file(ROOT / file)
    missing = [one.name for one in fields(Source) if not known.get(one.name)]
    if missing:
        raise LookupError(f"{file}: {', '.join(missing)} not known; the file or tools/sources.toml has to say it")
    return Source(**{one.name: known[one.name] for one in fields(Source)})


def of_study(file: str) -> dict[str, str]:
    """Command and machines of a study's runs."""
    name = file.removeprefix(STUDIES)
    if name == file or not (ROOT / "experiments" / "study" / f"{name}.toml").exists():
        return {}
    runs = sorted(packed.results(ROOT / file).glob("*-[0-9].json"))
    summaries = [read_json(path).get("summary") or {} for path in runs]
    machines = sorted({f"{s['device']}, torch {s['torch']}" for s in summaries if "device" in s and "torch" in s})
    command = f"secateur study experiments/study/{name}.toml"
    return {"command": command, "machine": f"{len(runs)} runs on {' and '.join(machines)}"} if machines else {}


def of_file(path: Path) -> dict[str, str]:
    """What a benchmark's file says of itself; of lines, one a run, the last."""
    if path.suffix not in (".json", ".jsonl"):
        return {}
    text = path.read_text(encoding="utf-8")
    values = json.loads(text.splitlines()[-1] if path.suffix == ".jsonl" else text)
    own = values.get("how", {})
    values = {**values, **own}
    found = {"machine": machine_of(values), "date": values.get("date", "")}
    if own.get("commit"):
        commit, _, changed = own["commit"].partition(" + ")
        commit = SOURCES["landed"].get(commit, commit)
        found |= {"commit": f"commit `{commit}`{' with changes' if changed else ''}", "command": own["command"]}
    return {name: value for name, value in found.items() if value}


def machine_of(values: dict[str, Any]) -> str:
    """CPU or GPU, cores, threads, what else ran; "" where the file says nothing of them."""
    machine = values.get("machine", {})
    machine = machine if isinstance(machine, dict) else {}
    parts = [str(found[key]) for found, key in ((machine, "cpu"), (values, "cpu"), (values, "device")) if key in found]
    if not parts:
        return ""
    cores = machine.get("cores", values.get("cores"))
    parts += [f"{cores} cores"] if cores else []
    parts += [f"torch {values['torch']}"] if "torch" in values else []
    parts += [f"load {values['load_before']:g} before it began"] if "load_before" in values else []
    return ", ".join(parts)
