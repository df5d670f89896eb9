"""The bundled model: a checkpoint, or an earlier export of one, in the bytes that dev allows.

    python experiments/main_job/reexport.py SOURCE OUT --data ../shared/data --precision int8-static --tolerance 1.5 \\
        --four-bits 'decoder.token_embedding,decoder.layers.*.ffn.*'

SOURCE is a run of a study (`bundled.toml`, arm rows-30k-20, seed 0), or an int8 export, whose weights are read back.
Inputs are evened out and measured on clips of both train sets; the error rate on both dev sets together is compared
with what the weights give in fp32.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from secateur.base.errors import SecateurError
from secateur.export.job import ErrorRateGate, export_checked
from secateur.families.whisper.read_onnx import read_back
from secateur.runtime.contents import CONTENTS
from secateur.weights.fetch import load_model

SETS = ("speechocean762", "librispeech-mini")


def together(data: Path, split: str, folder: Path) -> Path:
    """One manifest of a split of both sets, whose clips take turns."""
    columns = []
    for name in SETS:
        lines = [json.loads(line) for line in (data / name / f"{split}.jsonl").read_text("utf-8").splitlines()]
        columns.append([{**line, "audio": str((data / name / line["audio"]).resolve())} for line in lines])
    least = min(len(column) for column in columns)
    mixed = [line for pair in zip(*(column[:least] for column in columns), strict=True) for line in pair]
    mixed += [line for column in columns for line in column[least:]]
    path = folder / f"{split}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in mixed), encoding="utf-8")
    return path


def main() -> None:
    """Read back, export, say what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--tolerance", type=float, default=0.2, help="points on dev")
    parser.add_argument("--four-bits", default="", help="patterns of the decoder's weights, separated by commas")
    options = parser.parse_args()
    exported = (options.source / CONTENTS).exists()
    model, tokenizer = read_back(options.source) if exported else load_model(str(options.source))
    nibbles = [pattern for pattern in options.four_bits.split(",") if pattern]
    with tempfile.TemporaryDirectory() as folder:
        dev, train = (together(options.data, split, Path(folder)) for split in ("dev", "train"))
        found = export_checked(
            model, tokenizer, options.out, options.precision, gate=ErrorRateGate(dev, options.tolerance),
            calibration=train, nibbles=nibbles,
        )  # fmt: skip
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    try:
        main()
    except SecateurError as problem:
        sys.exit(f"reexport.py: {problem}")
