"""What is measured: words and strings as they were heard, errors, time, and whether backends agree."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from assistant import NOTHING, WORDS, Floats, Model, digits
from speech import SNR_DB, Words

from secateur.base.files import read_json
from secateur.data.manifest import Utterance
from secateur.evaluate.error_rate import Counts, count_errors, total

STRING_SETS = tuple(SNR_DB)
PACKAGES = ("keras", "tensorflow-cpu", "tensorflow", "torch", "onnxruntime", "numpy")


def recognised_words(model: Model, words: Words) -> list[str]:
    """What the model hears in each single digit, as a number; "-" for noise."""
    found = model(words.features[: len(words.utterances)]).argmax(1)
    return ["-" if digit == NOTHING else str(digit) for digit in found]


def heard_strings(model: Model, strings: Sequence[Floats]) -> list[str]:
    """What the assistant hears in each recording of several digits, such as "314"; "-" for nothing.

    `strings` are the features (words, 64, 39) that it finds in each.
    """
    return ["".join(map(str, digits(model, words))) or "-" for words in strings]


def errors(reference: str, heard: str) -> Counts:
    """Word errors of digits such as "314" against words such as "three one five"."""
    return count_errors(reference, " ".join(WORDS[int(digit)] for digit in heard if digit != "-"))


def string_errors(utterances: Sequence[Utterance], heard: Sequence[str]) -> Counts:
    """Word errors over a set of recordings."""
    return total(errors(u.text, h) for u, h in zip(utterances, heard, strict=True))


def milliseconds(models: Mapping[str, Model], batch: Floats, rounds: int = 400) -> dict[str, float]:
    """Median time of each model for `batch`, in turns, so that all meet the same load of the machine."""
    times: dict[str, list[float]] = {name: [] for name in models}
    for number in range(rounds + 20):
        for name, model in models.items():
            start = time.perf_counter()
            model(batch)
            if number >= 20:
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: round(float(np.median(values)), 4) for name, values in times.items()}


def agreement(saved: Path, network: Any, features: Floats) -> tuple[str, float]:
    """The other Keras backend's name, and the largest difference of its probabilities for the same saved model."""
    import keras

    other = "torch" if keras.backend.backend() == "tensorflow" else "tensorflow"
    code = (
        "import sys, numpy, keras; network = keras.models.load_model(sys.argv[1], compile=False); "
        "found = network(numpy.load(sys.argv[2]), training=False); "
        "numpy.save(sys.argv[3], keras.ops.convert_to_numpy(found))"
    )
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "features.npy", Path(folder) / "found.npy"
        np.save(given, features)
        subprocess.run(
            [sys.executable, "-c", code, str(saved), str(given), str(found)],
            env={**os.environ, "KERAS_BACKEND": other},
            check=True,
        )
        ours = keras.ops.convert_to_numpy(network(features, training=False))
        return other, float(np.abs(np.load(found) - ours).max())


def kept_run(path: Path, about: Mapping[str, Any]) -> dict[str, Any] | None:
    """What an earlier run in the same folder wrote beside the network at `path`, if that was made as `about` says."""
    beside = path.with_suffix(".json")
    if not (beside.exists() and path.exists()):
        return None
    run: dict[str, Any] = read_json(beside)
    same = json.loads(json.dumps(about))
    return run if {name: run.get(name) for name in same} == same else None


def versions() -> dict[str, str]:
    """Of Python and of the packages that matter, where they are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
