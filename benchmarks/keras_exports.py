"""Which files pruned Keras models become: every format and precision, run by its own runtime and compared.

    KERAS_BACKEND=tensorflow python benchmarks/keras_exports.py --out benchmarks/results/keras_exports_tensorflow.json

Models are the speech models of `keras_models.py`, pruned as there, with random weights. `secateur.keras.export.export`
runs each file by onnxruntime, ai-edge-litert or TensorFlow and keeps none whose outputs differ too far from those of
Keras; what it measured, or why it refused, is written after every file. A second run goes on where the first one
stopped.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import keras
from keras_asr_models import SPEECH
from keras_models import inputs_of, pruned
from recorded import how

from secateur.base.errors import SecateurError
from secateur.base.files import write_json
from secateur.keras.export import export
from secateur.keras.writers import PRECISIONS

FILES = [(kind, precision) for kind in ("onnx", "litert") for precision in PRECISIONS] + [("saved_model", "float32")]
EXAMPLES = 16  # that int8 finds its ranges with; all files are compared on them


def exported(model: Any, kind: str, precision: str, folder: Path) -> dict[str, Any]:
    """What became of one file."""
    started = time.time()
    samples = inputs_of(model, EXAMPLES)
    try:
        done = export(model, folder / f"{kind}-{precision}", kind, precision=precision, samples=samples)
        result = {"outcome": "exported", "bytes": done.bytes, "difference": done.max_difference}
    except SecateurError as problem:
        result = {"outcome": "refused", "reason": str(problem).replace(f"{folder}/", "")}
    return {**result, "seconds": round(time.time() - started, 1)}


def main() -> None:
    """Write what is not written yet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default=",".join(SPEECH), help="names of models, separated by commas")
    parser.add_argument("--amount", type=float, default=0.3, help="share of the parameters that is pruned, 0 to 1")
    options = parser.parse_args()
    done = json.loads(options.out.read_text())["files"] if options.out.exists() else []
    head = {"backend": keras.backend.backend(), "keras": keras.__version__, "amount": options.amount}
    head["how"] = how()
    known = {(one["name"], one["format"], one["precision"]) for one in done}
    for name in options.only.split(","):
        wanted = [file for file in FILES if (name, *file) not in known]
        if not wanted:
            continue
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")
            keras.utils.set_random_seed(0)
            small, _ = pruned(SPEECH[name](), options.amount, {"criterion": "random"})
            for kind, precision in wanted:
                found = exported(small, kind, precision, Path(folder))
                done.append({"name": name, "format": kind, "precision": precision, **found})
                print({k: v if k != "reason" else v[:200] for k, v in done[-1].items()}, flush=True)
                write_json(options.out, {**head, "files": done}, indent=1)
        keras.utils.clear_session(free_memory=True)


if __name__ == "__main__":
    main()
