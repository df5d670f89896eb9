"""One kind of file under a fuzzer that follows coverage (https://github.com/google/atheris): pip install atheris

    python experiments/hostile/atheris_fuzz.py manifest -max_total_time=600

Stops at the first input that is neither read nor refused with one line, and writes it to a file `crash-...`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "hostile"), str(ROOT / "tests")]

with atheris.instrument_imports(include=["secateur"]):
    from kinds import make_kinds


def main() -> None:
    """Fuzz the kind that the command line names; the rest of it is libFuzzer's."""
    kinds = make_kinds(Path(tempfile.mkdtemp()) / "valid")
    if len(sys.argv) < 2 or sys.argv[1] not in kinds:
        sys.exit(f"name a kind: {', '.join(kinds)}")
    kind, scratch = kinds[sys.argv[1]], Path(tempfile.mkdtemp())
    corpus = scratch / "corpus"
    corpus.mkdir()
    (corpus / kind.file).write_bytes((kind.folder / kind.file).read_bytes())

    def one(data: bytes) -> None:
        found = kind.outcome(data, scratch)
        if found not in ("read", "refused"):
            raise AssertionError(found)

    atheris.Setup([sys.argv[0], *sys.argv[2:], str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
