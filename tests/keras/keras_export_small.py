"""Run by test_keras_export in a process of its own, whose backend is in KERAS_BACKEND: prints what happened as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from secateur.base.errors import SecateurError
from secateur.keras import export as exporting
from secateur.keras.inputs import nested
from secateur.keras.models import googlenet_mfcc
from secateur.keras.writers import output_names


def small(**changes: Any) -> Any:
    """A GoogLeNet of two narrow blocks whose batch normalisation is not the identity."""
    keras.utils.set_random_seed(1)
    blocks = ((4, (3, 5), (2, 3), 2), (5, (3, 4), (2, 3), 3))
    model = googlenet_mfcc((20, 6), 5, stem=8, blocks=blocks, dense=(12,), **changes)
    random = np.random.default_rng(2)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return model


def exported(folder: Path) -> dict[str, Any]:
    """Every format, as outputs of the files on one batch, beside Keras' own."""
    model = small(dropout=0.5, noise=0.3)
    x = np.random.default_rng(3).standard_normal((7, 20, 6)).astype(np.float32)
    found: dict[str, Any] = {"keras": np.asarray(model.predict(x, verbose=0)).tolist()}
    kinds = {"onnx": "model.onnx", "litert": "model.tflite"}
    if keras.backend.backend() == "tensorflow":  # the other one writes both through this one, in the same way
        kinds["saved_model"] = "saved"
    for kind, name in kinds.items():
        done = exporting.export(model, folder / name, kind)
        outputs = exporting.RUNTIMES[kind](folder / name)(x).tolist()
        found[kind] = {"outputs": outputs, "difference": done.max_difference, "bytes": done.bytes}
    return found


def fewer_bits(folder: Path) -> dict[str, Any]:
    """Several inputs and outputs, and recurrent layers, in every precision; the files are outside of the folder."""
    keras.utils.set_random_seed(3)
    first, second = keras.Input((12, 6), name="zeta"), keras.Input((4,), name="alpha")
    x = keras.layers.Concatenate()([keras.layers.GRU(5)(first), keras.layers.Dense(4)(second)])
    several = keras.Model([first, second], [keras.layers.Dense(3)(x), keras.layers.Dense(2, activation="softmax")(x)])
    found = {}
    for kind, end in (("onnx", ".onnx"), ("litert", ".tflite")):
        for precision in ("float32", "float16", "int8"):
            if kind == "litert" and keras.backend.backend() == "torch":
                continue
            done = exporting.export(several, folder / "full" / f"{precision}{end}", kind, precision=precision)
            found[f"{kind} {precision}"] = done.max_difference
    return found


def named(folder: Path) -> dict[str, Any]:
    """Inputs of different means by name, in int8; outputs of layers without an activation."""
    keras.utils.set_random_seed(5)
    wide, bias = keras.Input((9,), name="wide"), keras.Input((9,), name="bias")
    x = keras.layers.Concatenate()([keras.layers.Dense(7, activation="relu")(one) for one in (wide, bias)])
    outputs = [keras.layers.Dense(2, name="z_class")(x), keras.layers.Dense(3, name="age")(x)]
    model = keras.Model([wide, bias], outputs)
    random = np.random.default_rng(6)
    samples = {"bias": random.normal(-6, 2, (40, 9)).astype("f4"), "wide": random.normal(1, 0.3, (40, 9)).astype("f4")}
    exporting.export(model, folder / "full" / "named.onnx", samples=samples, precision="int8")
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "full" / "named.onnx")
    found = dict(zip([o.name for o in session.get_outputs()], session.run(None, samples), strict=True))
    expected = dict(zip(["z_class", "age"], model.predict(samples, verbose=0), strict=True))
    keyed = keras.Model({"wide": wide, "bias": bias}, {"to": outputs[0], "from": [outputs[1], outputs[1]]})
    return {
        "names": [*found],
        "difference": max(float(np.abs(found[n] - expected[n]).max() / np.abs(expected[n]).max()) for n in found),
        "keys": output_names(keyed, keyed),
        "nested": [*nested(keyed, samples, "samples")],
    }


def graphs(folder: Path) -> dict[str, Any]:
    """Exact GELU, a spectrogram inside the graph, and a state that is carried from chunk to chunk."""
    keras.utils.set_random_seed(4)
    layers, folder = keras.layers, folder / "full"
    samples, frames = keras.Input((1600,)), keras.Input((None, 6))
    mel = layers.MelSpectrogram(128, 80, sequence_length=100, sampling_rate=8000, num_mel_bins=12)(samples)
    sound = keras.Model(samples, layers.Dense(3, activation="gelu")(layers.GlobalAveragePooling1D()(mel)))
    exact = keras.Model(frames, layers.Dense(3, activation=lambda x: keras.ops.gelu(x, approximate=False))(frames))
    chunk = keras.Input(batch_shape=(1, 4, 6))
    x = layers.LSTM(5, stateful=True, return_sequences=True)(chunk)
    stream = keras.Model(chunk, layers.Dense(3)(layers.GRU(4, stateful=True)(x)))
    result = {
        "mel": exporting.export(sound, folder / "mel.onnx").max_difference,
        "gelu": exporting.export(exact, folder / "gelu.onnx").max_difference,
        "stream": exporting.export(stream, folder / "stream.onnx").max_difference,
    }
    run = exporting.RUNTIMES["onnx"](folder / "stream.onnx")
    states = [np.zeros((1, size), np.float32) for size in (5, 5, 4)]
    stream.layers[1].reset_states()
    stream.layers[2].reset_states()
    difference = 0.0
    for part in np.random.default_rng(5).standard_normal((3, 1, 4, 6)).astype(np.float32):
        expected = keras.ops.convert_to_numpy(stream(part, training=False))
        found, *states = run([part, *states])
        difference = max(difference, float(np.abs(found - expected).max()))
    if keras.backend.backend() == "tensorflow":
        masked = keras.Model(frames, layers.Dense(3)(layers.LSTM(4)(layers.Masking()(frames))))
        for kind, end in (("onnx", ".onnx"), ("litert", ".tflite")):
            result[f"masked {kind}"] = exporting.export(masked, folder / f"masked{end}", kind).max_difference
    return {**result, "chunks": difference}


def errors(folder: Path) -> dict[str, str]:
    """What a user reads when it goes wrong."""

    def message(*arguments: Any, **named: Any) -> str:
        try:
            exporting.export(*arguments, **named)
        except SecateurError as problem:
            return str(problem)
        return "no error"

    model = small()
    pair = keras.Input((5,), name="mel"), keras.Input((3,), name="age")
    joined = keras.layers.Concatenate()(pair)
    listed, keyed = keras.Model(pair, joined), keras.Model({"mel": pair[0], "age": pair[1]}, joined)
    mel, age = np.zeros((4, 5)), np.zeros((4, 3))

    def refused(given: Any, which: Any = listed) -> str:
        return message(which, folder / "a.onnx", samples=given)

    (folder / "full").mkdir()
    (folder / "full" / "thesis.txt").write_text("years of work")
    two = keras.Input((3,)), keras.Input((3,))

    @keras.saving.register_keras_serializable("tests")
    class Unsteady(keras.layers.Layer):  # type: ignore[misc]
        """Gives something else each time it is traced."""

        traces = 0

        def call(self, x: Any) -> Any:
            self.traces += 1
            return x + self.traces

    class Written(keras.Model):  # type: ignore[misc]
        """A subclassed model."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = keras.layers.Dense(3)

        def call(self, x: Any) -> Any:
            return keras.ops.mean(self.inner(x), axis=1)

    written = Written()
    written(mel[:, None])
    inputs, tokens = keras.Input((4,)), keras.Input((None,), dtype="int32", name="tokens")
    words = keras.Model(tokens, keras.layers.Embedding(5, 2)(tokens))
    speech = np.zeros((5, 20, 6), np.float32)
    wrong = np.where(np.arange(5)[:, None, None] == 3, np.nan, speech)
    return {
        "nan": refused(wrong, model),
        "infinite": refused([mel, np.full((4, 3), np.inf)]),
        "nan int8": message(model, folder / "a.tflite", samples=wrong, precision="int8"),
        "none": refused(speech[:0], model),
        "empty": refused([], model),
        "text": refused([["yes"] * 5], listed),
        "letters": refused(np.full((2, 7), "a"), words),
        "fractions": refused(np.full((2, 7), 0.5), words),
        "targets": refused((speech, np.zeros(5)), model),
        "batches": refused(iter([speech]), model),
        "lengths": refused([np.zeros((3,)), np.zeros((4,))], words),
        "shape": refused(speech[:, :7], model),
        "tokens": refused(np.full((2, 7), 9), words)
        if keras.backend.backend() == "torch"
        else "does not run on samples",
        "missing": refused({"mel": mel}),
        "extra": refused({"mel": mel, "age": age, "ago": age}),
        "typo": refused({"mel": mel, "aeg": age}, keyed),
        "listed": refused([mel, age], keyed),
        "one": refused(mel),
        "swapped": refused([age, mel]),
        "fewer": refused({"mel": mel, "age": age[:2]}),
        "model": message("model.keras", folder / "a.onnx"),
        "bits": message(model, folder / "a", "saved_model", precision="int8"),
        "precision": message(model, folder / "a.onnx", precision="int9"),
        "format": message(model, folder / "a.onnx", "onxn"),
        "ending": message(model, folder / "a.tflite", "onnx"),
        "unnamed": message(model, folder / "a"),
        "unbuilt": message(keras.Sequential([keras.layers.Dense(2)]), folder / "a.onnx"),
        "subclassed": message(written, folder / "full" / "written.onnx"),
        "two": message(keras.Model(two, keras.layers.Add()(two)), folder / "full" / "two.onnx"),
        "folder": message(model, folder / "full", "onnx"),
        "foreign": message(model, folder / "full", "saved_model"),
        "unsteady": message(keras.Model(inputs, Unsteady()(inputs)), folder / "unsteady.onnx"),
        "tolerance": message(model, folder / "exact.onnx", tolerance=-1.0),
    }


if __name__ == "__main__":
    where = Path(sys.argv[1])
    print(
        json.dumps(
            {
                "exported": exported(where),
                "errors": errors(where),
                "bits": fewer_bits(where),
                "graphs": graphs(where),
                "named": named(where) if keras.backend.backend() == "torch" else None,
            }
        )
    )
