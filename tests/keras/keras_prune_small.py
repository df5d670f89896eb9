"""Run by test_keras_prune in a process of its own, with the backend in KERAS_BACKEND: writes what happened."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import Input, Sequential, layers
from keras_layers import CASES, FEATURES, FRAMES, chain, inputs_of, unsettled

from secateur.base.errors import SecateurError
from secateur.keras import GroupLasso, Pruner, prune
from secateur.keras.data import SampleBatch
from secateur.keras.evidence import gradients
from secateur.keras.export import export
from secateur.keras.lasso import pressed
from secateur.keras.models import googlenet_mfcc
from secateur.keras.structure import structure_of


def numbers(values: Any) -> Any:
    return np.asarray(keras.ops.convert_to_numpy(values))


def every_layer(folder: Path) -> dict[str, Any]:
    """Each case masked and shrunk by one plan; the shrunk one is saved with its input and the masked one's output."""
    found = {}
    for name, build in CASES.items():
        model = unsettled(build())
        before = [numbers(w).copy() for w in model.weights]
        x = inputs_of(model)
        structure = structure_of(model)
        masked, small = (prune(model, {"*": 0.45}, mode=mode, criterion="random") for mode in ("mask", "shrink"))
        whole, zeroed, shrunk = (numbers(m(x, training=False)) for m in (model, masked, small))
        small.save(folder / f"{name}.keras")
        inputs = x if isinstance(x, list) else [x]
        np.savez(folder / f"{name}.npz", masked=zeroed, **{f"x{n}": one for n, one in enumerate(inputs)})
        lost = {g.name: round(0.45 * g.units / g.blocks) * g.blocks for g in structure.groups}
        found[name] = {
            "difference": float(np.abs(shrunk - zeroed).max()), "change": float(np.abs(whole - zeroed).max()),
            "parameters": [model.count_params(), small.count_params()],
            "counted": structure.shrunk(keep_of(structure, lost)).parameters(), "units": sum(lost.values()),
            "untouched": all(np.array_equal(a, numbers(b)) for a, b in zip(before, model.weights, strict=True)),
        }  # fmt: skip
    return found


def keep_of(structure: Any, lost: dict[str, int]) -> dict[str, list[int]]:
    """Any plan that removes as many: what it costs does not depend on which."""
    keep = {}
    for group in structure.groups:
        size, left = group.units // group.blocks, (group.units - lost[group.name]) // group.blocks
        keep[group.name] = [b * size + u for b in range(group.blocks) for u in range(left)]
    return keep


BLOCKS = ((4, (3, 5), (2, 3), 2), (5, (3, 4), (2, 3), 3))


def googlenet(blocks: Any = BLOCKS, **options: Any) -> Any:
    keras.utils.set_random_seed(1)
    return googlenet_mfcc((FRAMES, FEATURES), 3, stem=8, blocks=blocks, dense=(12,), **options)


def task(count: int = 192) -> tuple[Any, Any]:
    """Frames whose loudest third is the class."""
    random = np.random.default_rng(5)
    x = random.standard_normal((count, FRAMES, FEATURES)).astype("float32") * 0.5
    y = random.integers(0, 3, count)
    for row, label in zip(x, y, strict=True):
        row[4 * label : 4 * label + 4] += 1.0
    return x, y


def while_fitting(folder: Path) -> dict[str, Any]:
    """A GoogLeNet that is pruned while it learns, with L1, L2 and dropout; saved for the reader."""
    x, y = task()
    model = googlenet(BLOCKS[:1], dropout=0.1, l1=1e-5, l2=1e-4)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    pruner = Pruner(0.5, criterion="taylor", data=(x[:64], y[:64]), begin=0.2, end=0.6, every=4)
    history = model.fit(x, y, epochs=10, batch_size=16, validation_split=0.25, callbacks=[pruner], verbose=0).history
    small = pruner.shrunk()
    expected, got = (numbers(m(x, training=False)) for m in (model, small))
    small.save(folder / "fitted.keras")
    np.savez(folder / "fitted.npz", masked=expected, x0=x)
    kinds = {"onnx": ".onnx"}
    if keras.backend.backend() == "tensorflow":  # the other backend writes it through this one
        kinds |= {"litert": ".tflite"}
    files = {kind: export(small, folder / f"fitted{end}", kind).max_difference for kind, end in kinds.items()}
    small.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    again = small.fit(x, y, epochs=1, verbose=0).history  # it learns on, regularised as before
    model.set_weights([w + 1 for w in model.get_weights()])
    return {
        "difference": float(np.abs(expected - got).max()), "kept": history["kept"], "losses": len(small.losses),
        "parameters": [model.count_params(), small.count_params()], "files": files,
        "accuracy": float((got.argmax(1) == y).mean()), "chance": float(np.bincount(y).max() / len(y)),
        "again": again["accuracy"][-1], "restored": message(pruner.shrunk), "regulariser": bool(small.losses),
    }  # fmt: skip


def criteria() -> dict[str, Any]:
    """Scores by hand, and which units each criterion leaves."""
    x, y = task(32)
    keras.utils.set_random_seed(2)
    model = Sequential([Input((FRAMES, FEATURES)), layers.Flatten(), layers.Dense(6, activation="relu", name="hidden"),
                        layers.Dense(3, activation="softmax", name="out")])  # fmt: skip
    model.compile("sgd", "sparse_categorical_crossentropy")
    slopes = gradients(model, SampleBatch(x, y))
    weight, step = model.get_layer("hidden").kernel, 1e-3
    start = model.evaluate(x, y, verbose=0)
    direction = slopes[id(weight)] / np.linalg.norm(slopes[id(weight)])
    weight.assign(weight.value + step * keras.ops.convert_to_tensor(direction))
    rise = (model.evaluate(x, y, verbose=0) - start) / step
    weight.assign(weight.value - step * keras.ops.convert_to_tensor(direction))
    dead, loud = 2, 4
    kernel = numbers(weight).copy()
    kernel[:, dead] = 0
    kernel[:, loud] *= 5
    weight.assign(kernel)
    kept = {}
    for name in ("magnitude", "taylor", "wanda"):
        small = prune(model, {"hidden": 0.17}, criterion=name, data=(x, y))
        left = numbers(small.get_layer("hidden").kernel)
        kept[name] = [u for u in range(6) if any(np.array_equal(kernel[:, u], one) for one in left.T)]
    return {"slope": float(np.linalg.norm(slopes[id(weight)])), "rise": rise, "kept": kept}


def budgets() -> dict[str, Any]:
    """How much goes, and where it may not."""
    model = googlenet()
    sizes = {amount: prune(model, amount).count_params() / model.count_params() for amount in (0.0, 0.3, 0.5, 0.8)}
    part = prune(model, 0.5, exclude=["inception1_*"])
    widths = {layer.name: [w.shape for w in layer.get_weights()] for layer in part.layers}
    only = prune(model, {"*": 0.5}, only=["dense1"])
    return {
        "sizes": list(sizes.items()), "one": widths["inception1_one"], "stem": widths["stem"],
        "dense1": only.get_layer("dense1").units, "rest": only.get_layer("stem").filters,
    }  # fmt: skip


def message(call: Any, *arguments: Any, **named: Any) -> str:
    try:
        call(*arguments, **named)
    except SecateurError as problem:
        return str(problem)
    return "no error"


@keras.saving.register_keras_serializable("tests")
class Odd(layers.Layer):  # type: ignore[misc]
    """No rule knows what this does with units."""

    def call(self, x: Any) -> Any:
        return keras.ops.map(lambda row: keras.ops.flip(row, -1), x)


class Plain(layers.Layer):  # type: ignore[misc]
    """Not registered, and its config has no name."""

    def __init__(self, **_: Any) -> None:
        super().__init__()

    def call(self, x: Any) -> Any:
        return x * 2.0


class Own(keras.Model):  # type: ignore[misc]
    """No graph."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x: Any) -> Any:
        return self.dense(x)


def errors() -> dict[str, Any]:
    """What a user reads, and what still works."""
    odd = unsettled(Sequential([
        Input((FRAMES, FEATURES)), layers.Conv1D(8, 3, name="before"), Odd(name="mirror"),
        layers.Dense(6, name="after"), layers.GRU(4, name="last"), layers.Dense(3),
    ]))  # fmt: skip
    x = inputs_of(odd)
    own = Own()
    own(np.zeros((2, 4), "float32"))
    tokens = Sequential([Input((FRAMES, FEATURES)), layers.Flatten(), layers.Dense(3, name="out")])
    front = Sequential([Input((FRAMES, FEATURES)), Odd(), layers.Dense(8), layers.GRU(4), layers.Dense(3)])
    around = prune(odd, {"*": 0.5}, exclude=["mirror"])
    masked = prune(odd, {"*": 0.5}, mode="mask")
    quantised = Sequential([Input((8,)), layers.Dense(6, name="int8"), layers.Dense(3)])
    quantised.quantize("int8")
    return {
        "quantised": message(prune, quantised),
        "odd": message(prune, odd), "own": message(prune, own), "amount": message(prune, odd, 1.5),
        "criterion": message(prune, front, criterion="magnitud"), "data": message(prune, front, criterion="wanda"),
        "loss": message(prune, front, criterion="taylor", data=(x, x)),
        "only": message(prune, front, only=["gru_"]), "tokens": message(prune, tokens, only=["out"]),
        "budget": message(prune, front, 0.99), "early": message(Pruner(0.5).shrunk),
        "span": message(Pruner, 0.5, begin=0.9, end=0.5),
        "around": [around.get_layer("before").filters, around.get_layer("after").units, around.get_layer("last").units],
        "masked": [int((numbers(masked.get_layer(n).weights[0]) == 0).all(a).sum()) for n, a in (("before", (0, 1)),)],
        "front": prune(front, 0.5).count_params() / front.count_params(),
    }  # fmt: skip


def own() -> dict[str, Any]:
    """Functions and classes that only this program has."""
    factor = 2.0
    model = unsettled(Sequential([
        Input((FEATURES,)), layers.Dense(8, name="before"), layers.Lambda(lambda x: x * factor, name="lambda"), Plain(),
        layers.Dense(6, activation="relu", name="after"), layers.Dense(5, activation=lambda x: x / factor),
        layers.Dense(3),
    ]))  # fmt: skip
    x = inputs_of(model)
    masked = prune(model, {"*": 0.5}, mode="mask")
    both = [prune(model, {"*": 0.5}, exclude=["lambda", "plain"], mode=mode) for mode in ("mask", "shrink")]
    outputs = [numbers(m(x, training=False)) for m in both]
    return {
        "zeros": [int((numbers(masked.get_layer(n).kernel) == 0).all(0).sum()) for n in ("before", "after")],
        "excluded": [both[1].get_layer(n).units for n in ("before", "after")],
        "difference": float(np.abs(outputs[0] - outputs[1]).max()),
    }  # fmt: skip


def schedule() -> dict[str, Any]:
    """Steps that are counted otherwise than one a batch."""
    x, y = task(48)

    def fitted(pruner: Pruner, optimizer: Any = "sgd", together: int = 1, **options: Any) -> float:
        model = chain(layers.Flatten(), layers.Dense(12, activation="relu"))
        model.compile(optimizer, "mse", steps_per_execution=together)
        model.fit(x, np.eye(3)[y], batch_size=16, verbose=0, callbacks=[pruner], **options)
        small = pruner.shrunk()
        averaged.append(float(np.abs(numbers(model(x)) - numbers(small(x))).max()))
        return float(small.count_params() / model.count_params())

    averaged: list[float] = []
    found: dict[str, Any] = {"late": fitted(Pruner(0.5, every=2), epochs=4, initial_epoch=2)}
    together = 3 if keras.backend.backend() == "tensorflow" else 1
    found["several"] = fitted(Pruner(0.5, every=2), together=together, epochs=2)
    fitted(Pruner(0.5, every=1), keras.optimizers.SGD(use_ema=True), epochs=2)
    found["averaged"] = averaged[-1]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fitted(Pruner(0.5, steps=100), epochs=2)
    found["short"] = " ".join(str(one.message) for one in said if "training" in str(one.message))
    return found


class Empty(keras.callbacks.Callback):  # type: ignore[misc]
    """Which units of the first dense layer are zero with all that normalises them, after every step."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.steps: list[Any] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        weights = [v for one in self.model.layers[1:3] for v in one.trainable_variables]
        self.steps.append(np.all([np.abs(numbers(v)).reshape(-1, v.shape[-1]).max(0) == 0 for v in weights], axis=0))


def lasso() -> dict[str, Any]:
    """One press by hand, and units that nothing needs emptied while the model learns."""
    model = Sequential([Input((4,)), layers.Dense(3, name="one"), layers.Dense(2)])
    kernel, bias = np.array([[3.0, 0.1, 0], [0, 0, 0], [0, 0, 5], [4, 0, 0]], np.float32), np.zeros(3, np.float32)
    group = structure_of(model).groups[0]
    names = {p.parameter for p in group.places if not p.reads}
    weights = {n: kernel if "kernel" in n else bias for n in names if "one" in n}
    after = pressed(group, {**weights, "other": bias}, 1.0)
    x, y = task()
    keras.utils.set_random_seed(0)  # other starts end at other units
    noise, empty = chain(
        layers.Flatten(), layers.Dense(16), layers.BatchNormalization(), layers.ReLU(),
        layers.Dense(9, activation="relu"),
    ), Empty()  # fmt: skip
    noise.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = noise.fit(
        x, y, epochs=10, batch_size=16, verbose=0, callbacks=[GroupLasso(0.3, every=7, only=["*"]), empty]
    ).history
    norms = [float(np.linalg.norm(v)) for v in next(v for n, v in after.items() if "kernel" in n).T]
    small = prune(noise, 0.3)
    outputs = [numbers(m(x, training=False)).argmax(1) for m in (noise, small)]
    return {
        "norms": norms, "empty": history["empty"], "right": float((outputs[1] == y).mean()),
        "none": message(GroupLasso, 0.0), "steps": [int(now.sum()) for now in empty.steps],
        "back": sum(int((was & ~now).sum()) for was, now in zip(empty.steps, empty.steps[1:], strict=False)),
        "units": [sum(one.units for one in m.layers if hasattr(one, "units")) for m in (noise, prune(noise, "zeros"))],
    }  # fmt: skip


if __name__ == "__main__":
    where = Path(sys.argv[1])
    result = {"layers": every_layer(where), "fitted": while_fitting(where)}
    result |= {"criteria": criteria(), "budgets": budgets(), "errors": errors()}
    result |= {"own": own(), "schedule": schedule(), "lasso": lasso()}
    (where / "found.json").write_text(json.dumps(result))
