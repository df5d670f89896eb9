"""Models of other classes, small, as functions of nothing: `CASES` by name. Written as people write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import Input, Sequential, layers, ops
from keras_layers import FEATURES, FRAMES

CASES: dict[str, Callable[[], Any]] = {}
mine = keras.saving.register_keras_serializable("tests")


def case(build: Callable[[], Any]) -> Callable[[], Any]:
    CASES[build.__name__] = build
    return build


def around(*inner: Any, width: int = 8) -> Any:
    """A functional model with layers in the middle of it."""
    x = features = Input((FRAMES, FEATURES))
    x = layers.Dense(width)(x)
    for layer in inner:
        x = layer(x)
    return keras.Model(features, layers.Dense(3)(layers.GRU(4)(x)))


def called(model: Any) -> Any:
    """A subclassed model is built by its first batch."""
    model(np.zeros((2, FRAMES, FEATURES), "float32"))
    return model


@mine
class Trainer(keras.Model):  # type: ignore[misc]
    """A functional model with its own step."""

    def train_step(self, data: Any) -> Any:
        return {"own": ops.sum(data[0]) * 0.0 + 7.0}


@mine
class Backbone(keras.Model):  # type: ignore[misc]
    """A graph that its class makes, with inputs by name: its config has what it was made with and no layers."""

    def __init__(self, hidden: int, **options: Any) -> None:
        tokens, features = Input((FRAMES,), dtype="int32", name="tokens"), Input((FRAMES, FEATURES), name="features")
        mask = Input((FRAMES,), dtype="int32", name="mask")
        x = layers.Embedding(5, 8)(tokens) * ops.cast(mask, "float32")[..., None] + layers.Dense(8)(features)
        x = Encoder(8, 2, hidden)(x)
        inputs = {"tokens": tokens, "features": features, "mask": mask}
        super().__init__(inputs=inputs, outputs={"whole": layers.Dense(3)(x), "first": x[:, 0]}, **options)
        self.hidden = hidden

    def get_config(self) -> Any:
        return {"name": self.name, "trainable": self.trainable, "hidden": self.hidden}


@mine
class MyDense(layers.Dense):  # type: ignore[misc]
    """Only a name."""


@mine
class Doubled(layers.Dense):  # type: ignore[misc]
    """Twice what its parent computes."""

    def call(self, x: Any, training: Any = None) -> Any:
        return 2.0 * super().call(x)


@mine
class CachedAttention(layers.MultiHeadAttention):  # type: ignore[misc]
    """Another `call`, which without a cache is its parent's."""

    def call(self, query: Any, value: Any, key: Any = None, cache: Any = None, training: Any = None) -> Any:
        value = value if cache is None else ops.concatenate([cache, value], axis=1)
        return super().call(query, value, key, training=training)


@mine
class Encoder(layers.Layer):  # type: ignore[misc]
    """As in the Transformer of keras.io: no name, no config, no `build`."""

    def __init__(self, width: int, heads: int, hidden: int, rate: float = 0.1) -> None:
        super().__init__()
        self.att = layers.MultiHeadAttention(num_heads=heads, key_dim=width)
        self.ffn = Sequential([layers.Dense(hidden, activation="relu"), layers.Dense(width)])
        self.norms = [layers.LayerNormalization(epsilon=1e-6) for _ in range(2)]
        self.dropout = layers.Dropout(rate)

    def call(self, inputs: Any, training: bool = False) -> Any:
        out = self.norms[0](inputs + self.dropout(self.att(inputs, inputs), training=training))
        return self.norms[1](out + self.dropout(self.ffn(out), training=training))


@mine
class Residual(layers.Layer):  # type: ignore[misc]
    """Layers made in `build`, variables of its own, positions that follow from the input's length."""

    def __init__(self, width: int, hidden: int, **options: Any) -> None:
        super().__init__(**options)
        self.width, self.hidden = width, hidden
        self.positions = layers.Embedding(64, width)

    def build(self, shape: Any) -> None:
        self.inner = {"up": layers.Dense(self.hidden, activation="relu"), "down": layers.Dense(self.width)}
        self.factor = self.add_weight(shape=(self.width,), name="factor")
        self.kernels = [self.add_weight(shape=(self.width, n), name="kernel") for n in (self.hidden, self.hidden)]
        self.back = self.add_weight(shape=(self.hidden, self.width), name="back")
        super().build(shape)

    def call(self, x: Any) -> Any:
        x = x + self.positions(ops.arange(ops.shape(x)[1]))
        gate = ops.sigmoid(ops.matmul(x, self.kernels[0])) * ops.einsum("btd,dh->bth", x, self.kernels[1])
        return x + self.factor * self.inner["down"](self.inner["up"](x)) + ops.matmul(gate, self.back)

    def get_config(self) -> Any:
        return {**super().get_config(), "width": self.width, "hidden": self.hidden}


@mine
class Block(layers.Layer):  # type: ignore[misc]
    """One such layer inside of another."""

    def __init__(self, width: int, **options: Any) -> None:
        super().__init__(**options)
        self.width = width
        self.first, self.second = Residual(width, 10), Encoder(width, 2, 12)

    def call(self, x: Any) -> Any:
        return self.second(self.first(x))

    def get_config(self) -> Any:
        return {**super().get_config(), "width": self.width}


@mine
class Whole(keras.Model):  # type: ignore[misc]
    """Subclassed, with layers in a list and branches in training."""

    def __init__(self, units: int = 8) -> None:
        super().__init__()
        self.convolutions = [layers.Conv1D(units, 3, padding="same", activation="relu") for _ in range(2)]
        self.block, self.noise = Residual(units, 12), layers.GaussianNoise(0.1)
        self.head = Sequential([layers.Dense(9, activation="relu"), layers.Dense(3)])

    def call(self, x: Any, training: bool = False) -> Any:
        for convolution in self.convolutions:
            x = convolution(x)
        if training:
            x = self.noise(x, training=True)
        return self.head(ops.mean(self.block(x), axis=1))


class Native(keras.Model):  # type: ignore[misc]
    """Computes with the backend's own functions, which no graph of Keras has."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = layers.Dense(8, activation="relu"), layers.Dense(3)

    def call(self, x: Any) -> Any:
        x = self.first(x)
        if keras.backend.backend() == "tensorflow":
            import tensorflow

            return self.last(tensorflow.nn.softplus(x))
        import torch

        return self.last(torch.nn.functional.softplus(x))


@mine
class ByWidth(layers.Layer):  # type: ignore[misc]
    """Its code goes by how many units there are."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.up, self.down = layers.Dense(8), layers.Dense(8)

    def call(self, x: Any) -> Any:
        x = self.up(x)
        return self.down(x * float(x.shape[-1]) ** -0.5)


@mine
class WithCache(layers.Layer):  # type: ignore[misc]
    """What it computes, and a cache that it has only where it was given one."""

    def __init__(self, width: int, **options: Any) -> None:
        super().__init__(**options)
        self.up, self.down = layers.Dense(2 * width, activation="relu"), layers.Dense(width)

    def build(self, shape: Any) -> None:
        self.up.build(shape)
        self.down.build((*shape[:-1], self.up.units))

    def call(self, x: Any, cache: Any = None) -> Any:
        return self.down(self.up(x)), cache


class Unwritten(layers.Layer):  # type: ignore[misc]
    """A layer that Keras cannot describe: it is made with an object, and has no config of its own."""

    def __init__(self, setting: object) -> None:
        super().__init__(name="unwritten")
        self.up, self.down = layers.Dense(16, activation="relu"), layers.Dense(8)

    def call(self, x: Any) -> Any:
        return self.down(self.up(x))


class Holder(layers.Layer):  # type: ignore[misc]
    """Holds such a layer."""

    def __init__(self) -> None:
        super().__init__(name="holder")
        self.inner = Unwritten(object())

    def call(self, x: Any) -> Any:
        return self.inner(x)


@mine
class Cached(layers.Layer):  # type: ignore[misc]
    """As in the Transformer layers of KerasHub's T5."""

    def __init__(self, width: int, **options: Any) -> None:
        super().__init__(**options)
        self.inner = WithCache(width)

    def build(self, shape: Any) -> None:
        self.inner.build(shape)

    def call(self, x: Any) -> Any:
        y, _ = self.inner(x)
        return x + y


@mine
class Scaled(layers.Layer):  # type: ignore[misc]
    """A layer that `register` has to be told about: its kernel is made anew at every call."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = units

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")

    def call(self, x: Any) -> Any:
        return ops.matmul(x, ops.multiply(self.kernel, ops.sign(self.kernel)))

    def get_config(self) -> Any:
        return {**super().get_config(), "units": self.units}


@case
def own_step() -> Any:
    features = Input((FRAMES, FEATURES))
    return Trainer(features, layers.Dense(3)(layers.GRU(8)(layers.Conv1D(8, 3)(features))))


@case
def own_step_nested() -> Any:
    features, inner = Input((FRAMES, FEATURES)), Input((None, 8))
    tail = Trainer(inner, layers.GRU(5)(layers.Dense(9)(inner)), name="tail")
    return keras.Model(features, layers.Dense(3)(tail(layers.Dense(8)(features))))


@case
def dense_by_another_name() -> Any:
    return around(MyDense(8, activation="relu"), Doubled(7, activation="relu"))


@case
def attention_by_another_name() -> Any:
    x = features = Input((FRAMES, FEATURES))
    x = layers.Dense(8)(x)
    return keras.Model(features, layers.Dense(3)(layers.GRU(4)(CachedAttention(4, 3)(x, x))))


@case
def transformer() -> Any:
    return around(Encoder(8, 2, 16), Encoder(8, 2, 12))


@case
def residuals() -> Any:
    return around(Residual(8, 16), Block(8), layers.TimeDistributed(MyDense(6)))


@case
def without_cache() -> Any:
    return around(Cached(8))


@case
def subclassed() -> Any:
    return called(Whole())


@keras.saving.register_keras_serializable("tests")
def doubled(x: Any) -> Any:
    return ops.relu(x) * 2.0 + ops.mean(x, axis=1, keepdims=True)


@case
def functions_and_many_axes() -> Any:
    """Lambda layers are followed into their function; of kernels of three axes what they read goes."""
    features = Input((FRAMES, FEATURES))
    x = layers.Lambda(doubled)(layers.Dense(16)(features))
    x = layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de")(x)
    x = layers.EinsumDense("...de,def->...f", output_shape=12)(x)
    return keras.Model(features, layers.Dense(3)(layers.Dense(10, activation="relu")(x)[:, 0]))
