"""Steps 3 and 4: a GoogLeNet with dense layers learns the words, and is pruned while it learns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from assistant import WORDS
from speech import Words

from secateur.keras import Pruner
from secateur.keras.models import googlenet_mfcc


@dataclass(frozen=True)
class Recipe:
    """How the network learns; all arms take the same steps on the same data."""

    remove: float = 0.0  # of the parameters, while it learns
    epochs: int = 6
    batch_size: int = 64
    learning_rate: float = 3e-3  # the highest: it rises from 0 for a tenth of the steps, then falls to 0
    dropout: float = 0.3
    l1: float = 1e-6
    l2: float = 1e-5
    begin: float = 0.2  # of the steps: nothing is pruned before
    end: float = 0.7  # of the steps: all is pruned, the rest is for recovering

    def steps(self, train: Words) -> int:
        """Updates of the weights in all."""
        return self.epochs * -(-len(train.classes) // self.batch_size)


PRUNED = 0.65  # share of the parameters that goes in the example
PLAIN = Recipe(dropout=0.0, l1=0.0, l2=0.0)
ARMS = {
    "dense": Recipe(),
    "pruned30": Recipe(remove=0.3),
    "pruned65": Recipe(remove=PRUNED),
    "dense-plain": PLAIN,
    "pruned65-plain": replace(PLAIN, remove=PRUNED),
    "dense-dropout": replace(PLAIN, dropout=0.3),
    "pruned65-dropout": replace(PLAIN, dropout=0.3, remove=PRUNED),
    "dense-l2": replace(PLAIN, l1=1e-6, l2=1e-5),
    "pruned65-l2": replace(PLAIN, l1=1e-6, l2=1e-5, remove=PRUNED),
}


def learned(train: Words, dev: Words, recipe: Recipe, seed: int) -> Any:
    """A network trained from scratch, as a `keras.Model`; where units are removed, what comes back is small."""
    keras.utils.set_random_seed(seed)
    network = googlenet_mfcc(
        train.features.shape[1:], len(WORDS) + 1, dropout=recipe.dropout, l1=recipe.l1, l2=recipe.l2
    )
    steps = recipe.steps(train)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 10, warmup_target=recipe.learning_rate, warmup_steps=steps // 10
    )
    network.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    pruner = Pruner(recipe.remove, schedule="cubic", begin=recipe.begin, end=recipe.end) if recipe.remove else None
    # Keras takes the last examples for validation: those are takes that are never learned from.
    features = np.concatenate([train.features, dev.features])
    classes = np.concatenate([train.classes, dev.classes])
    network.fit(
        features, classes, epochs=recipe.epochs, batch_size=recipe.batch_size,
        validation_split=(len(dev.classes) - 0.5) / len(classes), callbacks=[pruner] if pruner else [], verbose=2,
    )  # fmt: skip
    return pruner.shrunk() if pruner else network
