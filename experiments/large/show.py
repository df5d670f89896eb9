"""The figures of a run in a few lines: show.py OUT."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.exists() else None


def speed(found: Any) -> float:
    """Utterances a second between the first validation and the last but one."""
    log = found["log"]
    if len(log) < 3:
        return 0.0
    first, last = log[0], log[-2]
    heard = [e["utterances_per_second"] * e["seconds"] for e in (first, last)]
    return float((heard[1] - heard[0]) / (last["seconds"] - first["seconds"]))


def main() -> None:
    out = Path(sys.argv[1])
    steps = {n: read(out / f"steps{n}.json") for n in (1, 2)}
    for n, found in steps.items():
        if found:
            names = ("step_ms", "gpu_busy_ms", "gpu_collectives_ms", "kernels_a_step", "host_ms")
            print(f"{n} GPU: {speed(found):.0f} utterances/s,", {name: found[name] for name in names})
    if all(steps.values()):
        print(
            f"two over one: {speed(steps[2]) / max(speed(steps[1]), 1e-9):.2f} (utterances), "
            f"{steps[1]['step_ms'] / steps[2]['step_ms']:.2f} (step)"
        )
    for name, found in (read(out / "memory.json") or {}).items():
        print(
            name,
            {k: found.get(k) for k in ("fits", "reserved_gib", "allocated_gib", "seconds_a_step", "kept", "problem")},
        )
    bulk = read(out / "bulk.json")
    if bulk:
        print(
            {k: v for k, v in bulk.items() if k != "ours"},
            {k: v for k, v in bulk["ours"].items() if k != "piece_times"},
        )


if __name__ == "__main__":
    main()
