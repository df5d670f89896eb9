"""Put the parts of `beam.sh` together and compare: error rates, paired differences and processing time by set.

python experiments/bundled/beam.py WORK [--out experiments/bundled/beam.json]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from secateur.base.files import write_json
from secateur.evaluate.compare import compare_results
from secateur.evaluate.result import Result, read_result
from secateur.evaluate.run import summarise

SETS = ("speechocean762", "librispeech-mini", "commonvoice-en")


def joined(work: Path, name: str, beam: int) -> Result:
    """All parts of a set as one result."""
    parts = [read_result(path / "clean.json") for path in sorted(work.glob(f"{name}.*.beam{beam}"))]
    return summarise(
        [row for part in parts for row in part.rows], model=f"beam {beam}", data=name, language="en", metric="wer",
        seconds_compute=sum(part.seconds_compute for part in parts), parameters=None, macs=None, size=None, settings={},
        normalise=parts[0].normalise,
    )  # fmt: skip


def main() -> None:
    """Compare and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "beam.json")
    given = parser.parse_args()
    rows = []
    for name in SETS:
        greedy, beam = (joined(given.work, name, size) for size in (1, 5))
        d = compare_results(greedy, beam).difference
        times = {"seconds": greedy.seconds_compute, "seconds_beam": beam.seconds_compute}
        audio = sum(row.seconds for row in greedy.rows)
        rows.append({
            "set": name, "clips": len(greedy.rows), "hours": audio / 3600, "greedy": greedy.rate, "beam": beam.rate,
            "delta": d.delta, "low": d.low, "high": d.high, **times,
        })  # fmt: skip
    write_json(given.out, {"rows": rows})


if __name__ == "__main__":
    main()
