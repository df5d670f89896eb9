"""Tables of what was killed, spoilt and abused, and of the server's limits, from result files and settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from secateur.base.files import read_json
from secateur.evaluate.table import pipe_table
from secateur.server.http.settings import Limits

ROOT = Path(__file__).resolve().parent.parent


def faults_table() -> list[str]:
    """Kills survived, a line a job."""
    values = read_json(ROOT / "experiments" / "faults" / "results" / "kills.json")
    rows = [
        [
            row["job"], str(row["kills"]), str(row["survived"]), str(row["moments"].get("at a time", 0)),
            str(row["moments"].get("before a change to a file", 0)), str(row["changes"]),
        ]
        for row in values["rows"]
    ]  # fmt: skip
    total = [sum(row[key] for row in values["rows"]) for key in ("kills", "survived")]
    rows.append(["**all**", f"**{total[0]}**", f"**{total[1]}**", "", "", ""])
    head = ["job", "killed", "survived", "tries at any time", "tries before a change to a file", "changes in a run"]
    return [*pipe_table(head, rows), ""]


def inputs_table() -> list[str]:
    """Spoilt inputs handled, kinds put together by what they are."""
    files = read_json(ROOT / "experiments" / "hostile" / "results" / "inputs.json")["rows"]
    served = read_json(ROOT / "experiments" / "hostile" / "results" / "served.json")["rows"]
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in files:
        groups.setdefault(_group(row["kind"]), []).append(row)
    rows = [_counts(name, some) for name, some in groups.items()]
    rows += [_counts(f"{row['kind']}, served", [row]) for row in served]
    rows.append([f"**{cell}**" for cell in _counts("all", [*files, *served])])
    head = ["input", "kinds", "tried", "read or answered", "refused or closed", "not handled"]
    return [*pipe_table(head, rows), ""]


def _group(kind: str) -> str:
    for word, name in (
        ("audio", "audio, 14 formats"), ("manifest", "manifests"), ("table", "CSV and TSV"), ("onnx", "ONNX graphs"),
        ("exported", "records of exports"), ("config", "model configs"), ("tokenizer", "tokenizers and units"),
        ("units", "tokenizers and units"), ("archive", "tar archives"), ("study", "study and grammar files (TOML)"),
        ("grammar", "study and grammar files (TOML)"), ("kaldi", "data layouts"), ("librispeech", "data layouts"),
        ("arpa", "language models"), ("ngram", "language models"), ("result", "results, maps, JSON"),
        ("sensitivity", "results, maps, JSON"), ("json", "results, maps, JSON"),
    ):  # fmt: skip
        if word in kind:
            return name
    return kind


def _counts(name: str, rows: Iterable[dict[str, Any]]) -> list[str]:
    rows = list(rows)
    sums = (sum(row[key] for row in rows) for key in ("tried", "read", "refused", "failed"))
    return [name, str(len(rows)), *(f"{count:,}" for count in sums)]


def abuse_table() -> list[str]:
    """What a client notices of its neighbours."""
    values = read_json(ROOT / "benchmarks" / "results" / "abuse.json")
    rows = [
        [
            row["scene"], str(row["abusers"]), f"{row['asked'] - row['failed']} of {row['asked']}",
            f"{row['peace_median_s']:.2f}", f"{row['median_s']:.2f}", f"{row['times']:.2f}", f"{row['worst_s']:.2f}",
            f"{'whole' if row['stream_whole'] else 'LOST'}, {row['stream_delay_s']:.1f}",
            f"{row['memory_MB']:.0f}, {row['memory_most_MB']:.0f}",
        ]
        for row in values["rows"]
    ]  # fmt: skip
    head = ["beside", "abusers", "served", "in peace, s", "beside them, s", "times", "worst, s", "stream, its delay s",
            "memory before, most, MB"]  # fmt: skip
    return [*pipe_table(head, rows), "", f"A clip of {values['seconds_of_clip']} s.", ""]


def conformance_table() -> list[str]:
    """What each client gets, a row a call."""
    values = read_json(ROOT / "benchmarks" / "results" / "conformance.json")
    clients = list(dict.fromkeys(row["client"] for row in values["rows"]))
    calls = dict.fromkeys(row["call"] for row in values["rows"])
    passed = {(row["client"], row["call"]): row["passed"] for row in values["rows"]}
    marks = {True: "yes", False: "**no**", None: ""}
    rows = [[call, *(marks[passed.get((client, call))] for client in clients)] for call in calls]
    counts = [
        f"**{sum(row['passed'] for row in values['rows'] if row['client'] == one)} of "
        f"{sum(row['client'] == one for row in values['rows'])}**"
        for one in clients
    ]
    head = ["call", *(f"{client} {values['clients'][client]}" for client in clients)]
    return [*pipe_table(head, [*rows, ["**all**", *counts]]), ""]


def attacks_table() -> list[str]:
    """Attacks tried and stopped, a row a class."""
    rows = read_json(ROOT / "benchmarks" / "results" / "attacks.json")["rows"]
    table = [[row["what"], row["attack"], str(row["tried"]), str(row["stopped"])] for row in rows]
    total = [str(sum(row[key] for row in rows)) for key in ("tried", "stopped")]
    return [*pipe_table(["on", "attack", "tried", "stopped"], [*table, ["**all**", "", *total]]), ""]


def abandoned_table() -> list[str]:
    """Waits beside clients that left, and memory after a long recording."""
    v = read_json(ROOT / "benchmarks" / "results" / "abandoned.json")
    behind = f"behind {v['clients']} uploads of {v['seconds_each']} s"
    rows = [
        ["a clip alone, s until its answer", f"{v['alone_s']:.2f}"],
        [f"{behind} whose clients were killed, s", f"{v['behind_left_s']:.2f}"],
        [f"{behind} whose clients stay, s", f"{v['behind_staying_s']:.1f}"],
        ["memory after ten clips, MB", f"{v['memory_before']:.0f}"],
        [f"at its peak in a recording of {v['memory_seconds'] // 60} minutes, MB", f"{v['memory_peak']:.0f}"],
        ["after it, MB", f"{v['memory_after']:.0f}"],
    ]
    return [*pipe_table(["what", "measured"], rows), ""]


def limits_table() -> list[str]:
    """The server's limits, as their dataclass says."""
    rows = [[f"`{one.name}`", str(one.default), one.metadata["help"]] for one in dataclasses.fields(Limits)]
    return [*pipe_table(["name", "default", "of what"], rows), ""]
