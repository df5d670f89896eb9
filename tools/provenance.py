"""Where tables come from: command, machine, date and control of every study and benchmark, as far as its files know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import packed

from secateur.base.files import read_json
from secateur.evaluate.table import pipe_table
from secateur.study.settings import read_study

ROOT = Path(__file__).resolve().parent.parent
UNKNOWN = "not recorded"
OF_OTHERS = {"runtime_int8": "runtime", "runtime_peers": "runtime", "sensitivity_h200": "sensitivity"}


def studies_table() -> list[str]:
    """Every study that has results: what to run, where it ran, what arms are compared with."""
    rows = []
    for archive in sorted((ROOT / "experiments").glob("*/results/*.tar.xz")):
        file = archive.parent.parent / archive.name.replace(".tar.xz", ".toml")
        if not file.exists():
            continue
        study = read_study(file)
        folder = packed.results(archive.parent / archive.name.removesuffix(".tar.xz"))
        summaries = [read_json(path).get("summary") or {} for path in sorted(folder.glob("*-[0-9].json"))]
        machines = sorted({f"{s['device']}, torch {s['torch']}" for s in summaries if "device" in s and "torch" in s})
        command = f"`secateur study {file.relative_to(ROOT).as_posix()}`"
        rows.append([command, "; ".join(machines) or UNKNOWN, f"{len(summaries)}", study.control])
    return [*pipe_table(["command", "machine", "runs", "arms are compared with"], rows), ""]


def benchmarks_table() -> list[str]:
    """Every benchmark's file: what to run, where and when it ran."""
    rows = []
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.json*")):
        text = path.read_text(encoding="utf-8")  # of lines, one a run, the last says where and when
        values: dict[str, Any] = json.loads(text.splitlines()[-1] if path.suffix == ".jsonl" else text)
        values |= values.get("how", {})
        script = ROOT / "benchmarks" / f"{OF_OTHERS.get(path.stem, path.stem)}.py"
        command = f"`python {script.relative_to(ROOT).as_posix()}`" if script.exists() else UNKNOWN
        rows.append([command, f"`{path.name}`", machine_of(values), str(values.get("date", UNKNOWN))])
    return [*pipe_table(["command", "file", "machine", "date"], rows), ""]


def machine_of(values: dict[str, Any]) -> str:
    """What a result file says of the machine, in a few words."""
    machine = values.get("machine", {})
    parts = [machine] if isinstance(machine, str) else [str(value) for value in machine.values()][:1]
    parts += [str(values["cpu"])] if "cpu" in values else []
    parts += [str(values["device"])] if "device" in values else []
    parts += [f"{values['cores']} cores"] if "cores" in values else []
    parts += [f"threads {values['threads']}"] if isinstance(values.get("threads"), int) else []
    parts += [f"torch {values['torch']}"] if "torch" in values else []
    parts += [f"load {values['load_before']}"] if "load_before" in values else []
    return ", ".join(parts) or UNKNOWN
