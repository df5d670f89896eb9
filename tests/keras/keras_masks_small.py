"""Run by test_keras_masks in a process of its own, with the backend in KERAS_BACKEND: writes what happened."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import Input, layers
from keras_layers import FEATURES, FRAMES, unsettled
from keras_prune_small import message, numbers, task

from secateur.keras import Pruner, Schedule, prune
from secateur.keras.sparse import kernels_of


def network() -> Any:
    """A kernel of every kind: convolution, attention, recurrence, depthwise, embedding-like, dense."""
    x = features = Input((FRAMES, FEATURES))
    x = layers.Conv1D(8, 3, padding="same", activation="relu", name="convolution")(x)
    x = layers.DepthwiseConv1D(4, padding="same", name="depthwise")(x)
    x = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = layers.GRU(12, name="recurrent")(x)
    model = keras.Model(features, layers.Dense(3, activation="softmax", name="classes")(x))
    return unsettled(model)


def small() -> Any:
    """Quick to fit."""
    x = features = Input((FRAMES, FEATURES))
    x = layers.Conv1D(8, 3, padding="same", activation="relu", name="convolution")(x)
    x = layers.Dense(12, activation="tanh", name="hidden")(layers.GlobalMaxPooling1D()(x))
    return unsettled(keras.Model(features, layers.Dense(3, activation="softmax", name="classes")(x)))


def compiled(model: Any, rate: float = 0.05) -> Any:
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), "sparse_categorical_crossentropy")
    return model


def zeros_of(model: Any) -> dict[str, Any]:
    return {one.name: one.matrix(one.values) == 0 for one in kernels_of(model)}


def at_once() -> dict[str, Any]:
    """Each pattern without training: how much is zero where, and that it is the least."""
    model = network()
    result: dict[str, Any] = {}
    for pattern in ("unstructured", "4x4", "2:4", "1:4"):
        asked = None if ":" in pattern else 0.5
        sparse = prune(model, asked, pattern=pattern)
        zeros = zeros_of(sparse)
        result[pattern] = {n: float(z.mean()) for n, z in zeros.items()}
        dense = next(z for n, z in zeros.items() if n.startswith("classes"))
        if ":" in pattern:
            size = int(pattern.split(":")[1])
            result[f"{pattern} groups"] = [
                int((~z[: len(z) // size * size].reshape(-1, size, z.shape[1])).sum(1).max())
                for z in zeros.values() if len(z) >= size
            ]  # fmt: skip
        if pattern == "4x4":
            result["blocks"] = sorted({int(dense[r : r + 4].sum()) for r in range(0, 12, 4)})
        result[f"{pattern} size"] = sparse.count_params() == model.count_params()
    kernel = numbers(model.get_layer("classes").kernel)
    left = numbers(prune(model, {"classes": 0.25}, pattern="unstructured").get_layer("classes").kernel)
    result["least"] = [float(np.abs(kernel[left == 0]).max()), float(np.abs(kernel[left != 0]).min())]
    x, y = task(32)
    compiled(model)
    result["criteria"] = {
        name: float(np.mean(numbers(prune(
            model, 0.5, pattern="unstructured", criterion=name, data=(x, y), only=["classes", "convolution"]
        ).get_layer("classes").kernel) == 0))
        for name in ("taylor", "wanda", "random")
    }  # fmt: skip
    return result


class Watched(Pruner):
    """Notes how much is zero, and whether anything came back, after each step."""

    def __init__(self, *options: Any, **named: Any) -> None:
        super().__init__(*options, **named)
        self.zeros: list[float] = []
        self.back, self.before = 0, None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        super().on_train_batch_end(batch, logs)
        now = np.concatenate([zeros.ravel() for zeros in zeros_of(self.model).values()])
        self.back += 0 if self.before is None else int((self.before & ~now).sum())
        self.before = now
        self.zeros.append(float(now.mean()))


def while_fitting() -> dict[str, Any]:
    x, y = task(96)
    result = {}
    for pattern in ("unstructured", "2x2", "2:4") if keras.backend.backend() == "torch" else ("2:4",):
        model = compiled(small())
        pruner = Watched(None if ":" in pattern else 0.6, pattern=pattern, begin=3, end=12, every=1)
        history = model.fit(x, y, batch_size=16, epochs=3, verbose=0, callbacks=[pruner]).history
        sparse = pruner.shrunk()
        difference = float(np.abs(numbers(sparse(x)) - numbers(model(x))).max())
        again = Watched("zeros")
        sparse.fit(x, y, batch_size=16, epochs=1, verbose=0, callbacks=[again])
        freed = pruner.shrunk()
        freed.fit(x, y, batch_size=16, epochs=1, verbose=0)
        result[pattern] = {
            "zeros": pruner.zeros, "back": pruner.back + again.back, "kept": history["kept"], "difference": difference,
            "again": again.zeros, "freed": float(np.mean([z.mean() for z in zeros_of(freed).values()])),
        }  # fmt: skip
    return result


def schedules() -> dict[str, Any]:
    """Powers, spans in steps, and one schedule a layer."""
    x, y = task(96)  # six steps an epoch
    result: dict[str, Any] = {}
    for power in (1.0, 5.0):
        model = compiled(small())
        pruner = Watched(0.8, pattern="unstructured", power=power, begin=0, end=10, every=1, only=["classes"])
        model.fit(x, y, batch_size=16, epochs=2, verbose=0, callbacks=[pruner])
        share = [zero / pruner.zeros[-1] for zero in pruner.zeros]
        result[f"power {power:g}"] = share[:10]
    model = compiled(small())
    by_layer = {"*": "linear", "convolution": Schedule("one-shot", begin=4, end=4), "hidden": Schedule(begin=6, end=9)}
    widths: list[list[int]] = []

    class Widths(Pruner):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            super().on_train_batch_end(batch, logs)
            names = ("convolution", "hidden")
            widths.append([len(self.planner.keep.get(n, range(99))) if self.planner else 0 for n in names])

    pruner = Widths({"convolution": 0.5, "hidden": 0.5}, schedule=by_layer, every=1)
    model.fit(x, y, batch_size=16, epochs=2, verbose=0, callbacks=[pruner])
    pruned = pruner.shrunk()
    result["widths"] = widths
    result["small"] = [pruned.get_layer("convolution").filters, pruned.get_layer("hidden").units]
    result["difference"] = float(np.abs(numbers(pruned(x)) - numbers(model(x))).max())
    return result


def by_hand() -> dict[str, Any]:
    """A training loop of one's own, with units and with single weights."""
    x, y = task(96)
    result = {}
    for name, options in (("units", {}), ("weights", {"pattern": "unstructured"})):
        model = compiled(small())
        pruner = Pruner(0.5, begin=2, end=8, every=2, **options).start(model)
        for step in range(12):
            part = slice(8 * step % 96, 8 * step % 96 + 8)
            model.train_on_batch(x[part], y[part])
            pruner.after_step()
        pruned = pruner.shrunk()
        result[name] = {
            "difference": float(np.abs(numbers(pruned(x)) - numbers(model(x))).max()), "done": pruner.done,
            "left": pruned.count_params() / model.count_params(),
            "zeros": float(np.mean(np.concatenate([z.ravel() for z in zeros_of(pruned).values()]))),
        }  # fmt: skip
    return result


class Rows(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches by number."""

    def __init__(self, x: Any, y: Any) -> None:
        super().__init__()
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x) // 16

    def __getitem__(self, number: int) -> Any:
        part = slice(16 * number, 16 * number + 16)
        return self.x[part], self.y[part]


class Endless(Rows):
    """A batch for every number."""

    def __init__(self, x: Any, y: Any) -> None:
        super().__init__(x[:16], y[:16])

    @property
    def num_batches(self) -> None:
        """None: it has no end."""

    def __getitem__(self, number: int) -> Any:
        return super().__getitem__(0)


def iterables() -> dict[str, Any]:
    """The same data in every form leaves the same units; ragged recordings are the padded ones."""
    import tensorflow as tf
    import torch

    x, y = task(64)
    model = compiled(small())
    forms: dict[str, Any] = {
        "arrays": (x, y), "weights": (x, y, np.ones(64, "float32")), "list": [(x[:32], y[:32]), (x[32:], y[32:])],
        "dataset": tf.data.Dataset.from_tensor_slices((x, y)).batch(16), "pydataset": Rows(x, y),
        "loader": torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y)), batch_size=16
        ),
        "generator": ((x[n : n + 16], y[n : n + 16]) for n in range(0, 64, 16)), "tensors": (torch.tensor(x), y),
    }  # fmt: skip

    def kept(data: Any, criterion: str = "taylor", source: Any = model) -> list[float]:
        pruned = prune(source, {"convolution": 0.5, "hidden": 0.5}, criterion=criterion, data=data, batch_size=16)
        return [float(numbers(v).sum()) for v in pruned.weights]

    result: dict[str, Any] = {"forms": {name: kept(data) for name, data in forms.items()}}
    only = {"array": x, "batches": [x[:32], x[32:]], "dataset": tf.data.Dataset.from_tensor_slices(x).batch(16)}
    only["loader"] = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.tensor(x)), batch_size=16)
    result["inputs"] = {name: kept(data, "wanda") for name, data in only.items()}
    open_ended = Input((None, FEATURES))
    speech = keras.Model(open_ended, layers.Dense(3)(layers.GRU(6, name="hidden")(
        layers.Conv1D(8, 3, padding="same", name="convolution")(open_ended)
    )))  # fmt: skip
    speech = compiled(unsettled(speech))
    lengths = [5 + n % 7 for n in range(64)]
    ragged = [row[:length] for row, length in zip(x, lengths, strict=True)]
    whole = np.stack([np.pad(row, ((0, 11 - len(row)), (0, 0))) for row in ragged])
    flat = tf.RaggedTensor.from_row_lengths(np.concatenate(ragged), lengths)
    result["ragged"] = {
        "padded": kept((whole, y), source=speech), "whole": kept([(whole, y)], source=speech),
        "list": kept((ragged, list(y)), source=speech),
        "tensor": kept([(flat, y)], source=speech), "batches": kept([(ragged, y)], source=speech),
    }  # fmt: skip
    endless = {
        "generator": ((x[:4], y[:4]) for _ in range(70)), "pydataset": Endless(x, y),
        "dataset": tf.data.Dataset.from_tensor_slices((x, y)).repeat().batch(4),
    }  # fmt: skip
    result["endless"] = {}
    for name, data in endless.items():
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            kept(data)
        result["endless"][name] = " ".join(str(one.message) for one in said)
    result["errors"] = {
        "none": message(kept, x), "used up": message(kept, iter(())), "number": message(kept, 3),
        "parts": message(kept, [(x, y, y, y)]),
        "lengths": message(kept, ([np.zeros((3, 6)), np.zeros((4, 5))], y)),
    }  # fmt: skip
    return result


def errors() -> dict[str, Any]:
    model = network()
    return {
        "pattern": message(prune, model, pattern="2x"), "nm": message(prune, model, pattern="4:2"),
        "amount": message(prune, model, 0.3, pattern="2:4"),
        "signed": message(prune, model, pattern="2:4", criterion="signed"),
        "round": message(prune, model, 0.5, pattern="unstructured", round_to=8),
        "only": message(prune, model, 0.5, pattern="unstructured", only=["recurent"]),
        "power": message(Pruner, 0.5, schedule="linear", power=2.0), "span": message(Pruner, 0.5, begin=100, end=50),
        "layers": message(Pruner, 0.5, schedule={"*": "linear"}), "step": message(Pruner(0.5).after_step),
        "steps": message(Pruner(0.5).start, model), "kind": message(Pruner, 0.5, schedule="cubik"),
        "wanda": message(prune, model, 0.5, pattern="unstructured", criterion="wanda", data=np.zeros((2, 12, 6), "f4")),
    }  # fmt: skip


if __name__ == "__main__":
    found = {"at_once": at_once(), "fitting": while_fitting(), "schedules": schedules(), "by_hand": by_hand()}
    found |= {"iterables": iterables(), "errors": errors()}
    (Path(sys.argv[1]) / "masks.json").write_text(json.dumps(found))
