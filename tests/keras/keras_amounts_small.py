"""Run by test_keras_amounts in a process of its own, with the backend in KERAS_BACKEND: writes what happened."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import Input, layers, ops
from keras_layers import FEATURES, FRAMES, inputs_of, unsettled
from keras_prune_small import message, numbers

from secateur.keras import Pruner, Schedule, prune
from secateur.keras.latency import within_latency
from secateur.keras.options import Options
from secateur.keras.plan import Planner
from secateur.keras.shrink import shrunk_model


def emptied() -> Any:
    """A network with units that are zero, that give zero or another constant, and that nothing reads, as features."""
    x = features = Input((FRAMES, FEATURES), name="features")
    x = layers.Conv1D(8, 3, padding="same", name="convolution")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="normalised")(x))
    x = layers.Bidirectional(layers.GRU(6, return_sequences=True))(x)
    x = layers.Dense(10, activation="sigmoid", name="sigmoid")(x)
    x = layers.Dense(9, activation="relu", name="rectified")(x)
    model = unsettled(keras.Model(features, layers.Dense(3)(layers.LSTM(7)(x))))
    for name, units in (("convolution", [1, 5]), ("sigmoid", [0, 3]), ("rectified", [2, 4, 6])):
        weights = model.get_layer(name).get_weights()
        for one in weights:
            one[..., units] = 0
        if name == "rectified":
            weights[0][7] = 0  # the seventh of the sigmoids is read by nobody
            weights[0][..., [0, 8]], weights[1][[0, 8]] = 0, (0.5, -0.5)  # the rectified constant is zero for one
        if name == "convolution":
            weights[0][:, 2] = 0
            weights[0][..., 3] *= 0.01
        model.get_layer(name).set_weights(weights)
    factors = model.get_layer("normalised").get_weights()
    for one in factors[:2]:
        one[[1, 5]] = 0
    factors[0][[3, 7]], factors[1][[3, 7]] = 0, (-0.5, 0.5)
    model.get_layer("normalised").set_weights(factors)
    return model


def zeros() -> dict[str, Any]:
    model = emptied()
    x = inputs_of(model)
    before = numbers(model(x))
    small, narrow = prune(model, "zeros"), prune(model, "zeros", inputs=True)
    silent = prune(model, "zeros", mode="mask")
    masked = prune(prune(model, {"convolution": 0.5}, mode="mask"), "zeros")
    noisy = emptied()
    kernel = noisy.get_layer("rectified").kernel
    kernel.assign(kernel.value + 1e-4 * ops.cast(ops.equal(kernel.value, 0), "float32"))
    kept = narrow.kept_inputs["features"]
    return {
        "units": [small.get_layer(n).get_weights()[0].shape[-1] for n in ("convolution", "sigmoid", "rectified")],
        "difference": [float(np.abs(numbers(one(x)) - before).max()) for one in (small, silent)], "kept": kept,
        "narrow": float(np.abs(numbers(narrow(x[..., kept])) - before).max()), "width": narrow.input_shape[-1],
        "masked": masked.get_layer("convolution").filters,
        "strict": prune(noisy, "zeros").get_layer("rectified").units,
        "threshold": prune(noisy, "zeros", threshold=1e-3).get_layer("rectified").units,
        "unknown": message(prune, model, "zeroes"), "negative": message(prune, model, "zeros", threshold=-1.0),
    }  # fmt: skip


def wide() -> Any:
    x = features = Input((FRAMES, FEATURES))
    for units in (32, 24, 16):
        x = layers.Dense(units, activation="relu")(x)
    return unsettled(keras.Model(features, layers.Dense(3)(layers.LSTM(16)(x))))


def amounts() -> dict[str, Any]:
    found: dict[str, Any] = {"exact": [], "words": []}
    model = wide()
    for amount in (0.1, 0.25, 0.4, 0.7):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            small = prune(model, amount)
        found["exact"].append([amount, 1 - small.count_params() / model.count_params()])
        found["words"] += [str(one.message) for one in said if "was asked" in str(one.message)]
    coarse = Input((4,))
    tiny = keras.Model(coarse, layers.Dense(2)(layers.Dense(3)(coarse)))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        prune(tiny, 0.1)
    found["coarse"] = " ".join(str(one.message) for one in said)
    rounded = prune(model, 0.4, round_to=8)
    found["share"] = 1 - 1.0 * rounded.count_params() / model.count_params()
    found["rounded"] = [layer.units for layer in rounded.layers if hasattr(layer, "units")][:-1]
    macs = prune(model, 0.3, budget="macs")
    found["macs"] = [layer.units for layer in macs.layers if hasattr(layer, "units")]
    found["budget"] = message(prune, model, 0.3, budget="mac")
    return found


def refused() -> dict[str, str]:
    """Arguments that cannot be, or that nothing reads."""
    model = wide()
    model.compile("sgd", "mse")
    x, y = np.ones((12, FRAMES, FEATURES), "float32"), np.ones((12, 3), "float32")
    first, second = Input((4,), name="pitch"), Input((6,), name="energy")
    joined = layers.Dense(8, activation="relu")(layers.Concatenate()([first, second]))
    two = keras.Model([first, second], [layers.Dense(2)(joined), layers.Dense(1)(joined)])
    two.compile("sgd", ["mse", "mse"])
    pair = {"energy": np.ones((9, 6)), "pitch": np.ones((9, 4))}
    slopes: dict[str, Any] = {"criterion": "taylor"}
    with warnings.catch_warnings():  # of the whole units that are larger
        warnings.simplefilter("ignore")
        keyed = keras.Model({"pitch": first}, layers.Dense(2)(layers.Dense(8)(first)))
        keyed.compile("sgd", "mse")
        rows = list(np.random.default_rng(8).normal(size=(4, 4)))  # as many as there are features
        forms = [rows, [np.stack(rows)], {"pitch": rows}, np.stack(rows)]
        small = [prune(keyed, 0.3, criterion="wanda", data=(one,)).get_weights() for one in forms]

    def warned(amount: Any = 0.3, **options: Any) -> str:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            prune(model, amount, **options)
        return " ".join(str(one.message) for one in found) + f" {found[0].filename if found else ''}"

    same = [all(np.array_equal(a, b) for a, b in zip(one, small[0], strict=True)) for one in small]
    found = {
        "forms": "the same" if all(same) else str(same),
        "targets": message(prune, model, 0.2, data=(x, y[:7]), **slopes),
        "second": message(prune, two, 0.2, data=(pair, [np.ones((9, 2)), np.ones((8, 1))]), **slopes),
        "name": message(prune, two, 0.2, criterion="wanda", data={"energy": pair["energy"], "pich": pair["pitch"]}),
        "swapped": message(prune, two, 0.2, criterion="wanda", data=[pair["energy"], pair["pitch"]]),
        "shape": message(prune, model, 0.2, criterion="wanda", data=x[..., 1:]),
        "nan": message(prune, model, 0.2, data=(x * np.nan, y), **slopes),
        "batch": message(prune, model, 0.2, batch_size=-3),
        "protect": message(prune, model, 0.2, protect=1.5), "no number": message(prune, model, 0.2, protect=np.nan),
        "model": message(prune, [model], 0.2), "threshold": message(prune, model, 0.2, threshold=0.3),
        "zeros": message(prune, model, "zeros", criterion="random"), "empty": message(prune, model, {}),
        "data": warned(data=(x, y)), "random": warned({"*": 0.3}, data=x, criterion="random"),
        "sparse": warned(data=x, pattern="unstructured"), "read": warned({"*": 0.3}, data=x, criterion="wanda"),
        "map": message(prune, model, 0.2, measured="map.json"), "rows": message(prune, model, 0.2, batch_size=8),
        "most": message(prune, model, {"*": 0.2}, protect=0.5), "multiple": message(prune, model, "zeros", round_to=4),
        "macs": message(prune, model, {"*": 0.2}, budget="macs"),
        "most weights": message(prune, model, pattern="2:4", protect=0.5),
        "power": message(Pruner, 0.2, schedule=Schedule("polynomial"), power=2),
        "span": message(Pruner, "zeros", end=0.5),
    }  # fmt: skip
    kernel = model.layers[1].kernel
    kernel.assign(kernel.value * np.nan)
    return {**found, "weights": message(prune, model, 0.2)}


def goes_on() -> dict[str, Any]:
    """Moments go along, and `fit` goes on."""
    model = wide()
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    x = inputs_of(model)
    model.fit(x, np.ones((len(x), 3), "float32"), epochs=3, verbose=0)
    small = prune(model, 0.4)
    pairs = []
    for layer, other in zip(model.layers, small.layers, strict=True):
        if hasattr(layer, "kernel"):
            old, new = numbers(layer.kernel), numbers(other.kernel)
            slots = [
                {v.name: numbers(v) for v in m.optimizer.variables}[f"{one.kernel.path.replace('/', '_')}_momentum"]
                for m, one in ((model, layer), (small, other))
            ]
            rows = [next((r for r in range(len(old)) if np.isin(new[0], old[r]).all()), -1)]
            columns = [int(np.flatnonzero(old[rows[0]] == value)[0]) for value in new[0]]
            pairs.append(float(np.abs(slots[0][rows[0]][columns] - slots[1][0]).max()))
    history = small.fit(x, np.ones((len(x), 3), "float32"), epochs=1, verbose=0).history
    return {
        "compiled": small.compiled, "steps": int(small.optimizer.iterations) - 1, "moments": pairs,
        "largest": max(float(np.abs(numbers(v)).max()) for v in model.optimizer.variables if "momentum" in v.name),
        "metrics": sorted(history),
    }  # fmt: skip


class Watched(Pruner):
    """Notes which units are there after each event."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seen: list[dict[str, list[int]]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        super().on_train_batch_end(batch, logs)
        self.seen.append({name: list(units) for name, units in self.planner.keep.items()} if self.planner else {})


def gradually() -> dict[str, Any]:
    """What is removed stays removed; units that a deviation over time reads go after training, and during it."""
    model = wide()
    model.compile(keras.optimizers.SGD(0.2), "mse")
    x = np.random.default_rng(0).standard_normal((64, FRAMES, FEATURES)).astype("float32")
    pruner = Watched(amount=0.5, every=1, begin=0.0, end=0.9)
    model.fit(x, np.ones((64, 3), "float32"), batch_size=4, epochs=2, verbose=0, callbacks=[pruner])
    back = 0
    for earlier, later in zip(pruner.seen, pruner.seen[1:], strict=False):
        back += sum(len(set(later.get(name, units)) - set(units)) for name, units in earlier.items())
    features = Input((FRAMES, FEATURES))
    y = layers.Conv1D(8, 3, name="convolution")(features)
    pooled = ops.concatenate([ops.mean(y, axis=1), ops.std(y, axis=1), ops.sqrt(ops.var(y, axis=1) + 1e-5)], axis=-1)
    vector = unsettled(keras.Model(features, layers.Dense(3)(layers.Dense(6)(pooled))))
    outputs = [numbers(prune(vector, {"*": 0.5}, mode=mode)(x)) for mode in ("mask", "shrink")]
    vector.compile("sgd", "mse")
    during = Pruner({"*": 0.5}, every=1)
    vector.fit(x, np.ones((64, 3), "float32"), epochs=1, verbose=0, callbacks=[during])
    learned = during.shrunk()
    return {
        "back": back, "events": sum(a != b for a, b in zip(pruner.seen, pruner.seen[1:], strict=False)),
        "pooled": float(np.abs(outputs[0] - outputs[1]).max()),
        "after": prune(vector, {"*": 0.5}).get_layer("convolution").filters,
        "during": learned.get_layer("convolution").filters,
        "learned": float(np.abs(numbers(learned(x)) - numbers(vector(x))).max()),
        "finite": bool(all(np.isfinite(numbers(w)).all() for w in vector.weights)),
    }  # fmt: skip


def refits() -> dict[str, Any]:
    """Weights that stay take over; two units that are alike are one, exactly."""
    random = np.random.default_rng(3)
    x = random.standard_normal((96, FRAMES, FEATURES)).astype("float32")
    features = Input((FRAMES, FEATURES))
    y = layers.Conv1D(12, 3, padding="same", activation="relu", name="one")(features)
    y = layers.Conv1D(10, 3, padding="causal", dilation_rate=2, activation="relu", name="two")(y)
    y = layers.GRU(8, name="three")(y)
    model = unsettled(keras.Model(features, layers.Dense(3)(layers.Dense(9, activation="relu", name="four")(y))))
    whole = numbers(model(x[:48]))
    before = [numbers(w).copy() for w in model.weights]
    errors = {}
    for refit in (False, True):
        options: dict[str, Any] = {"refit": True, "data": x[48:]} if refit else {}
        small, masked = (prune(model, {"*": 0.4}, mode=mode, **options) for mode in ("shrink", "mask"))
        errors[str(refit)] = float(np.square(numbers(small(x[:48])) - whole).mean())
        errors[f"{refit} masked"] = float(np.abs(numbers(small(x[:48])) - numbers(masked(x[:48]))).max())
    alike = Input((5,))
    pair = unsettled(keras.Model(alike, layers.Dense(3, name="last")(layers.Dense(4, name="first")(alike))))
    for variable in pair.get_layer("first").weights:
        values = numbers(variable).copy()
        values[..., 2] = values[..., 1] * 0.5
        variable.assign(values)
    z = random.standard_normal((40, 5)).astype("float32")
    whole = numbers(pair(z))
    one = prune(pair, {"first": 0.25}, refit=True, data=z, criterion="magnitude")
    pair.compile(keras.optimizers.SGD(0.0), "mse")
    pruner = Pruner({"first": 0.25}, refit=True, data=z, every=1, begin=0, end=2)
    pair.fit(z, numbers(pair(z)), epochs=1, batch_size=8, verbose=0, callbacks=[pruner])
    return {
        **errors, "untouched": all(np.array_equal(a, numbers(b)) for a, b in zip(before, model.weights, strict=True)),
        "alike": float(np.abs(numbers(one(z)) - whole).max()), "units": one.get_layer("first").units,
        "none": message(prune, model, refit=True), "learned": pruner.shrunk().get_layer("first").units,
    }  # fmt: skip


def timed() -> dict[str, Any]:
    """A budget in measured time compares what was measured, here a table of costs by layer, and is met as late as it
    can be; one that no plan reaches is an error, before anything is removed; and so are others."""
    features = Input((6,))
    x = layers.Dense(40, activation="relu", name="cheap")(features)
    model = unsettled(keras.Model(features, layers.Dense(3)(layers.Dense(24, activation="relu", name="dear")(x))))

    def table(models: Any, x: Any) -> list[float]:
        return [1 + 0.01 * m.get_layer("cheap").units + 0.2 * m.get_layer("dear").units for m in models]

    def saved(planner: Planner) -> float:
        whole, small = table([model, shrunk_model(model, planner.pruned)], None)
        return 1 - small / whole

    met = {}
    for asked in (0.15, 0.4):
        planner, found = within_latency(model, Options(asked, budget="latency", criterion="random"), table)
        less = Planner(model, Options(planner.options.amount - 1 / 32, budget="macs", criterion="random"))
        less.advance(1.0)
        met[str(asked)] = [found, saved(planner), saved(less), planner.word(Options(asked, budget="latency"), found)]
    return {
        "met": met, "constant": message(within_latency, model, Options(0.1, budget="latency"), lambda m, x: [5, 5]),
        "far": message(prune, model, 0.9999, budget="latency", data=np.ones((1, 6), "float32")),
        "layers": message(prune, model, {"*": 0.5}, budget="latency"), "fit": message(Pruner, 0.5, budget="latency"),
    }  # fmt: skip


if __name__ == "__main__":
    result = {"zeros": zeros(), "amounts": amounts(), "goes_on": goes_on(), "gradually": gradually()}
    result |= {"refits": refits(), "timed": timed()}
    if keras.backend.backend() == "torch":
        result["refused"] = refused()
    (Path(sys.argv[1]) / "amounts.json").write_text(json.dumps(result))
