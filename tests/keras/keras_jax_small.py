"""Run by test_keras_jax in a process of its own, with JAX as Keras' backend: writes what happened."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import keras_misstated
import numpy as np
from keras_layers import CASES, inputs_of, unsettled
from keras_masks_small import Watched, compiled, small, zeros_of
from keras_prune_small import message, numbers, task

from secateur.keras import Pruner, prune
from secateur.keras.export import export

SOME = ("conv1d", "gru_masked", "attention_across", "residual", "grouped", "nested")


def run(folder: Path) -> dict[str, Any]:
    differences = {}
    for build in (*(CASES[name] for name in SOME), *keras_misstated.CASES.values()):
        model = unsettled(build())
        x = inputs_of(model)
        pair = [prune(model, {"*": 0.45}, mode=mode, criterion="random") for mode in ("mask", "shrink")]
        differences[build.__name__] = float(np.abs(numbers(pair[0](x)) - numbers(pair[1](x))).max())
    x, y = task(96)
    model = compiled(small())
    scored = prune(model, 0.4, criterion="taylor", data=(x, y), refit=True)
    pruner = Pruner(0.5, criterion="taylor", data=(x[:32], y[:32]), begin=2, end=8, every=2)
    history = model.fit(x, y, batch_size=16, epochs=3, verbose=0, callbacks=[pruner]).history
    shrunk = pruner.shrunk()
    sparse = compiled(small())
    watched = Watched(pattern="2:4", begin=2, end=8, every=1)
    sparse.fit(x, y, batch_size=16, epochs=3, verbose=0, callbacks=[watched])
    return {
        "differences": differences, "scored": scored.count_params() / model.count_params(), "kept": history["kept"],
        "difference": float(np.abs(numbers(shrunk(x)) - numbers(model(x))).max()),
        "again": len(shrunk.fit(x, y, verbose=0).history["loss"]), "zeros": watched.zeros, "back": watched.back,
        "groups": float(np.mean(np.concatenate([z.ravel() for z in zeros_of(watched.shrunk()).values()]))),
        "onnx": message(export, shrunk, folder / "a.onnx"),
    }  # fmt: skip


if __name__ == "__main__":
    (Path(sys.argv[1]) / "jax.json").write_text(json.dumps(run(Path(sys.argv[1]))))
