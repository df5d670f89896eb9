"""Steps 3 and 4: a GoogLeNet with dense layers learns the words, and is pruned while it learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from assistant import WORDS
from prune import Pruner
from speech import Words

from secateur.keras.models import googlenet_mfcc


@dataclass(frozen=True)
class Recipe:
    """How the network learns; dense and pruned take the same steps."""

    epochs: int = 7
    batch_size: int = 64
    learning_rate: float = 3e-3  # the highest: it rises from 0 for a tenth of the steps, then falls to 0
    dropout: float = 0.3
    l1: float = 1e-6
    l2: float = 1e-5
    remove: float = 0.65  # of the parameters
    begin: float = 0.3  # of the steps: nothing is pruned before
    end: float = 0.8  # of the steps: all is pruned, the rest is for recovering

    def steps(self, train: Words) -> int:
        """Updates of the weights in all."""
        return self.epochs * -(-len(train.classes) // self.batch_size)


def pruned(train: Words, dev: Words, recipe: Recipe, seed: int) -> Any:
    """The same with its units removed gradually; what comes back is small, not masked."""
    pruner = Pruner(amount=recipe.remove, schedule="cubic", begin=recipe.begin, end=recipe.end)
    return pruner.shrunk(learned(train, dev, recipe, seed, [pruner]))


def learned(train: Words, dev: Words, recipe: Recipe, seed: int, callbacks: Sequence[Any] = ()) -> Any:
    """A network trained from scratch, as a `keras.Model`."""
    keras.utils.set_random_seed(seed)
    network = googlenet_mfcc(
        train.features.shape[1:], len(WORDS) + 1, dropout=recipe.dropout, l1=recipe.l1, l2=recipe.l2
    )
    steps = recipe.steps(train)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 10, warmup_target=recipe.learning_rate, warmup_steps=steps // 10
    )
    network.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    network.fit(
        train.features, train.classes, epochs=recipe.epochs, batch_size=recipe.batch_size,
        validation_data=(dev.features, dev.classes), callbacks=list(callbacks), verbose=2,
    )  # fmt: skip
    return network
