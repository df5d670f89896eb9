"""A task around a backbone, as KerasHub's are: both make their graphs, and both read one embedding."""

from __future__ import annotations

from typing import Any

import keras
from keras import Input, layers
from keras_classes import Encoder, mine

WORDS, LENGTH, WIDTH = 11, 6, 8


@mine
class Shared(keras.Model):  # type: ignore[misc]
    """A backbone: a model inside holds the convolutions, lists hold the blocks."""

    def __init__(self, hidden: int, **options: Any) -> None:
        tokens = Input((LENGTH,), dtype="int32", name="tokens")
        embedding = layers.ReversibleEmbedding(WORDS, WIDTH, name="embedding")
        inner = Input((LENGTH, WIDTH))
        convolved = layers.Conv1D(hidden, 3, padding="same", activation="relu", name="up")(inner)
        front = keras.Model(inner, layers.Conv1D(WIDTH, 3, padding="same", name="down")(convolved), name="front")
        blocks = [Encoder(WIDTH, 2, hidden) for _ in range(2)]
        x = front(embedding(tokens))
        for block in blocks:
            x = block(x)
        super().__init__(tokens, x, **options)
        self.embedding, self.blocks, self.hidden = embedding, blocks, hidden

    def get_config(self) -> Any:
        return {"name": self.name, "hidden": self.hidden}


@mine
class Task(keras.Model):  # type: ignore[misc]
    """Its `compile` takes more than Keras', and it writes with what it holds."""

    def __init__(self, backbone: Any, preprocessor: Any = None, **options: Any) -> None:
        outputs = backbone.embedding(backbone(backbone.input), reverse=True)
        super().__init__(backbone.input, outputs, **options)
        self.backbone, self.preprocessor = backbone, preprocessor
        self.compile()

    def compile(self, optimizer: Any = "sgd", *, picks: int = 1, **options: Any) -> None:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        super().compile(optimizer, **{"loss": loss, **options})
        self.picks = picks

    def preprocess_samples(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        x = x if self.preprocessor is None else self.preprocessor(x)
        return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)

    def write(self, texts: list[str], steps: int = 2) -> Any:
        """Tokens of texts, with the last ones written by the model, layer by layer."""
        tokens = keras.ops.convert_to_tensor(self.preprocessor(texts))
        for step in range(LENGTH - steps, LENGTH):
            x = self.backbone.get_layer("front")(self.backbone.embedding(tokens))
            for block in self.backbone.blocks:
                x = block(x)
            best = keras.ops.top_k(self.backbone.embedding(x, reverse=True)[:, step - 1], self.picks)[1][:, -1:]
            tokens = keras.ops.concatenate([tokens[:, :step], best, tokens[:, step + 1 :]], axis=1)
        return keras.ops.convert_to_numpy(tokens).tolist()

    def get_config(self) -> Any:
        parts = {"backbone": self.backbone, "preprocessor": self.preprocessor}
        return {"name": self.name, **{name: keras.saving.serialize_keras_object(one) for name, one in parts.items()}}

    @classmethod
    def from_config(cls, config: Any, custom_objects: Any = None) -> Any:
        parts = {n: keras.saving.deserialize_keras_object(config.pop(n)) for n in ("backbone", "preprocessor")}
        return cls(**parts, **config)


@mine
class Letters(layers.Layer):  # type: ignore[misc]
    """Texts as numbers of letters."""

    def __call__(self, texts: Any) -> Any:
        import numpy as np

        return np.array([[ord(letter) % WORDS for letter in text.ljust(LENGTH)[:LENGTH]] for text in texts], "int32")
