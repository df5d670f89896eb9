"""Models whose classes say something wrong of themselves, in their configs or shapes: `CASES` by name."""

from __future__ import annotations

from typing import Any

import keras
from keras import Input, layers, ops
from keras_classes import MyDense, around, mine
from keras_layers import FEATURES


@mine
class Derived(MyDense):
    """As in KerasHub's ViT: its config has what was derived, and lacks a setting."""

    def __init__(self, units: int, factor: float = 1.0, **options: Any) -> None:
        super().__init__(units, **options)
        self.factor = factor

    def call(self, x: Any) -> Any:
        return super().call(x) * self.factor

    def get_config(self) -> Any:
        return {**super().get_config(), "area": self.units**2}


@mine
class Misspelt(layers.Layer):  # type: ignore[misc]
    """As KerasHub's Llama, it asks for an attribute that is not there; it is made with an object."""

    def __init__(self, hidden: int, initializer: Any = "ones", **options: Any) -> None:
        super().__init__(**options)
        self.hidden, self._initializer = hidden, keras.initializers.get(initializer)

    def build(self, shape: Any) -> None:
        self.up = layers.Dense(self.hidden, activation="relu", kernel_initializer=self._initializer)
        self.down = Derived(shape[-1], 0.5, dtype=self.dtype_policy)
        self.up.build(shape)
        self.down.build((*shape[:-1], self.hidden))

    def call(self, x: Any) -> Any:
        return x + self.down(self.up(x))

    def get_config(self) -> Any:
        return {**super().get_config(), "hidden": self.hiden}


@mine
class Angles(layers.Layer):  # type: ignore[misc]
    """As in KerasHub's Moonshine: (frames, angles), so the first axis is no batch, and the shape is stated wrongly."""

    def build(self, shape: Any) -> None:
        self.rates = self.add_weight(shape=(2,), initializer="ones", trainable=False, name="rates")

    def call(self, x: Any) -> Any:
        frames = ops.cast(ops.arange(ops.shape(x)[1], dtype="int32"), "float32")
        return ops.reshape(ops.stack([ops.einsum("i,j->ij", frames, self.rates)] * 2, axis=-1), (-1, 4))

    def compute_output_shape(self, shape: Any) -> Any:
        return shape[:1]


@mine
class Turned(layers.Layer):  # type: ignore[misc]
    """Reads such angles; a fixed array stands on the left of a product."""

    def __init__(self, hidden: int, **options: Any) -> None:
        super().__init__(**options)
        self.hidden = hidden
        self.query = layers.EinsumDense("abc,cde->abde", (None, 2, 4))
        self.up, self.down = layers.Dense(hidden, activation="relu"), layers.Dense(8)

    def build(self, x_shape: Any, angles_shape: Any) -> None:
        self.query.build(x_shape)
        self.up.build(x_shape)
        self.down.build((*x_shape[:-1], self.hidden))

    def call(self, x: Any, angles: Any) -> Any:
        heads = self.query(x)
        shape = ops.shape(heads)
        angles = ops.reshape(angles[: shape[1], :], (1, shape[1], 1, ops.shape(angles)[-1]))
        halves = ops.reshape(heads, (*shape[:-1], 2, 2))
        turned = ops.reshape(ops.stack([-halves[..., 1], halves[..., 0]], axis=-1), shape)
        turned = ops.convert_to_tensor([1.0, -1.0, 0.5, 2.0]) * (heads * ops.cos(angles) + turned * ops.sin(angles))
        return x + self.down(self.up(ops.reshape(turned, (-1, shape[1], 8))))

    def compute_output_shape(self, x_shape: Any, angles_shape: Any) -> Any:
        return x_shape

    def get_config(self) -> Any:
        return {**super().get_config(), "hidden": self.hidden}


def wrong_configs() -> Any:
    return around(Derived(7, 3.0), Misspelt(20, keras.initializers.HeNormal(seed=0)))


def turned_by_position() -> Any:
    features = Input((None, FEATURES))
    x = layers.LayerNormalization()(layers.Dense(8)(features))
    x = Turned(40)(x * ops.cast(ops.sqrt(8), x.dtype), Angles()(features))
    return keras.Model(features, layers.Dense(3)(layers.GRU(4)(x)))


CASES = {"wrong_configs": wrong_configs, "turned_by_position": turned_by_position}
