"""Loads every .keras file of a folder with Keras alone and says how far its outputs are from what they were."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras
import numpy as np

found = {}
for path in sorted(Path(sys.argv[1]).glob("*.keras")):
    if path.stem == "channels_first":  # only torch has such convolutions on a CPU
        continue
    arrays = np.load(path.with_suffix(".npz"))
    inputs = [arrays[name] for name in sorted(arrays.files) if name.startswith("x")]
    model = keras.saving.load_model(path, compile=False)
    outputs = keras.ops.convert_to_numpy(model(inputs if len(inputs) > 1 else inputs[0], training=False))
    found[path.stem] = float(np.abs(outputs - arrays["masked"]).max())
print(json.dumps({"found": found, "secateur": "secateur" in sys.modules}))
