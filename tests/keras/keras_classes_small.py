"""Run by test_keras_classes in a process of its own, with the backend in KERAS_BACKEND: writes what happened."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import keras
import keras_misstated
import numpy as np
from keras_classes import CASES, Backbone, ByWidth, Holder, Native, Scaled, Trainer, around
from keras_layers import FEATURES, FRAMES, inputs_of, unsettled
from keras_prune_small import message, numbers
from keras_tasks import LENGTH, Letters, Shared, Task

import secateur.keras
from secateur.keras import Flow, prune


def compared(model: Any, x: Any, path: Path) -> dict[str, Any]:
    """Masked and shrunk by one plan, and the shrunk one loaded again."""
    masked, small = (prune(model, {"*": 0.45}, mode=mode, criterion="random") for mode in ("mask", "shrink"))
    small.save(path)
    again = keras.saving.load_model(path, compile=False)
    whole, zeroed, shrunk, loaded = (numbers(m(x, training=False)) for m in (model, masked, small, again))
    return {
        "difference": float(np.abs(shrunk - zeroed).max()), "reloaded": float(np.abs(loaded - zeroed).max()),
        "change": float(np.abs(whole - zeroed).max()), "parameters": [model.count_params(), small.count_params()],
        "class": type(small).__name__ == type(model).__name__,
    }  # fmt: skip


def every_class(folder: Path) -> dict[str, Any]:
    found = {}
    x = np.random.default_rng(0).standard_normal((5, FRAMES, FEATURES)).astype("float32")
    for name, build in (CASES | keras_misstated.CASES).items():
        model = unsettled(build())
        if name == "subclassed":
            model.compile("adam", "mse")
        before = [numbers(w).copy() for w in model.weights]
        found[name] = compared(model, x, folder / f"{name}.keras")
        found[name]["untouched"] = all(
            np.array_equal(a, numbers(b)) for a, b in zip(before, model.weights, strict=True)
        )
    return found


def by_name(folder: Path) -> dict[str, Any]:
    """A model that makes its own graph is called by the names of its inputs, small and loaded again too."""
    random, shape = np.random.default_rng(0), (4, FRAMES)
    x = {"mask": random.integers(0, 2, shape), "features": random.standard_normal((*shape, FEATURES))}
    x["tokens"] = random.integers(0, 5, shape)
    model = unsettled(Backbone(16))
    masked, small = (prune(model, {"*": 0.45}, mode=mode, criterion="random") for mode in ("mask", "shrink"))
    small.save(folder / "backbone.keras")
    again = keras.saving.load_model(folder / "backbone.keras", compile=False)
    whole, *others = (m(x, training=False) for m in (model, masked, small, again))
    first, *rest = ({name: numbers(value) for name, value in one.items()} for one in others)
    return {
        "names": sorted(first), "parameters": [model.count_params(), small.count_params()],
        "differences": [float(np.abs(one[name] - first[name]).max()) for one in rest for name in first],
        "change": float(np.abs(numbers(whole["whole"]) - first["whole"]).max()),
    }  # fmt: skip


def steps(folder: Path) -> dict[str, Any]:
    """The small model takes the class's own steps, after loading too, and it is pruned once more."""
    model = unsettled(CASES["own_step"]())
    small = prune(model, 0.4)
    small.compile("sgd")
    x = inputs_of(model)
    loss = small.fit(x, np.zeros(len(x)), verbose=0).history["own"][-1]
    twice = prune(prune(unsettled(CASES["transformer"]()), {"*": 0.25}), {"*": 0.25})
    twice.save(folder / "twice.keras")
    again = secateur.keras.load(folder / "twice.keras")
    return {
        "class": isinstance(small, Trainer), "own": loss, "hidden": again.layers[2].ffn.layers[0].units,
        "reloaded": float(np.abs(numbers(again(x)) - numbers(twice(x))).max()),
    }  # fmt: skip


def tasks(folder: Path) -> dict[str, Any]:
    """A task keeps what it holds: it preprocesses, writes, learns, and is loaded and pruned again."""
    texts, targets = ["abc", "hello"], np.ones((2, LENGTH), "int32")
    model = unsettled(Task(Shared(16), Letters()))
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), picks=2)
    model.train_on_batch(Letters()(texts), targets)
    masked, small = (
        prune(model, {"*": 0.45}, mode=mode, criterion="taylor", data=(texts, targets)) for mode in ("mask", "shrink")
    )
    small.save(folder / "task.keras")
    again = keras.saving.load_model(folder / "task.keras")
    twice = prune(again, {"*": 0.3}, criterion="random")
    alone = Task(prune(model.backbone, {"*": 0.45}, criterion="random"), Letters())
    zeroed, shrunk, loaded = (numbers(one(Letters()(texts), training=False)) for one in (masked, small, again))
    written = [one.write(texts) for one in (masked, small)]
    again.compile(picks=2)
    momentum = [v.shape for v in small.optimizer.variables if "momentum" in v.name]
    small.fit(Letters()(texts), targets, verbose=0)
    return {
        "differences": [float(np.abs(one - zeroed).max()) for one in (shrunk, loaded)],
        "written": [*written, again.write(texts)], "classes": [type(m).__name__ for m in (small, again, twice, alone)],
        "backbones": [type(m.backbone).__name__ for m in (small, again, twice, alone)], "picks": small.picks,
        "left": [one.count_params() / model.count_params() for one in (masked, small, again, twice, alone)],
        "tied": [sum("embeddings" in v.path for v in one.weights) for one in (small, again, twice)],
        "momentum": sorted(map(list, momentum)) == sorted(list(v.shape) for v in small.trainable_variables),
        "shapes": [np.shape(one.write(texts)) for one in (twice, alone)],
    }  # fmt: skip


def unknown(folder: Path) -> dict[str, Any]:
    """Without its class, a saved model that made its own graph is a plain one, and that is said."""

    class Unregistered(keras.Model):  # type: ignore[misc]
        def __init__(self, units: int) -> None:
            features = keras.Input((FRAMES, FEATURES))
            first = keras.layers.Dense(units, activation="relu")
            super().__init__(features, keras.layers.Dense(3)(first(features)))
            self.first = first

    model = unsettled(Unregistered(8))
    small = prune(model, {"*": 0.5})
    small.save(folder / "unknown.keras")
    x = inputs_of(model)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        again = secateur.keras.load(folder / "unknown.keras")
    return {
        "units": small.first.units, "classes": [type(small).__name__, type(again).__name__],
        "difference": float(np.abs(numbers(again(x)) - numbers(small(x))).max()),
        "warned": " ".join(str(one.message) for one in found),
    }  # fmt: skip


def refused() -> dict[str, Any]:
    """What stops it is said, and masks work."""
    native = Native()
    never = message(prune, native)
    x = np.random.default_rng(0).standard_normal((4, FRAMES, FEATURES)).astype("float32")
    native(x)
    masked = prune(unsettled(native), {"*": 0.5}, mode="mask")
    by_width = unsettled(around(ByWidth()))
    alone = prune(by_width, {"*": 0.5}, exclude=["by_width*"])
    return {
        "width": message(prune, by_width, {"*": 0.5}), "alone": alone.count_params() / by_width.count_params(),
        "unwritten": message(prune, unsettled(around(Holder())), {"*": 0.5}),
        "never": never, "native": message(prune, native),
        "zeros": [int((numbers(one.kernel) == 0).all(0).sum()) for one in (masked.first, masked.last)],
        "runs": list(numbers(masked(x)).shape),
    }  # fmt: skip


def taught() -> dict[str, Any]:
    """A layer that no trace follows, before and after `register`."""

    def rule(call: Any) -> list[Flow]:
        flow, units = call.one(), call.net.new(call.layer, call.path, call.layer.units, "unit")
        call.net.bind(call.layer.kernel, (0, call.channels(flow, -1)), (1, units), reads=[0])
        call.net.width(call.path, "units", units)
        return [Flow(call.shapes[0], flow.rank - 1, units)]

    model = unsettled(around(Scaled(9, name="scaled")))
    before = message(prune, model, {"*": 0.5})
    secateur.keras.register(Scaled, rule)
    small = prune(model, {"*": 0.5})
    masked = prune(model, {"*": 0.5}, mode="mask")
    x = inputs_of(model)
    return {
        "before": before, "units": small.get_layer("scaled").units,
        "difference": float(np.abs(numbers(small(x)) - numbers(masked(x))).max()),
        "unknown": message(secateur.keras.register, Scaled, "Dens"),
    }  # fmt: skip


if __name__ == "__main__":
    where = Path(sys.argv[1])
    result = {"classes": every_class(where), "steps": steps(where), "taught": taught(), "refused": refused()}
    result |= {"by_name": by_name(where), "tasks": tasks(where), "unknown": unknown(where)}
    (where / "classes.json").write_text(json.dumps(result))
