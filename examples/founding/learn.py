"""Steps 3 and 4: a GoogLeNet with dense layers learns the words, and is pruned while it learns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from assistant import WORDS, Floats
from speech import Words

from secateur.keras import GroupLasso, Pruner, prune
from secateur.keras.models import BLOCKS, googlenet_mfcc


@dataclass(frozen=True)
class Recipe:
    """How the network learns; all arms take the same steps on the same data."""

    remove: float = 0.0  # of the parameters, while it learns
    blocks: int = len(BLOCKS)  # how many of the Inception blocks
    wide: float = 1.0  # times the usual units in every layer, before anything is removed
    criterion: str = "magnitude"  # of what goes first; "taylor" looks at EXAMPLES of the words
    epochs: int = 6
    batch_size: int = 64
    learning_rate: float = 3e-3  # the highest: it rises from 0 for a tenth of the steps, then falls to 0
    dropout: float = 0.3
    l1: float = 1e-6
    l2: float = 1e-5
    lasso: float = 0.0  # strength of the group lasso
    zeros: bool = False  # delete what the group lasso has left at zero: "if it is zero, delete it"
    begin: float = 0.2  # of the steps: nothing is pruned before
    end: float = 0.7  # of the steps: all is pruned, the rest is for recovering

    def steps(self, train: Words) -> int:
        """Updates of the weights in all."""
        return self.epochs * -(-len(train.classes) // self.batch_size)


PRUNED = 0.65  # share of the parameters that goes in the example
EXAMPLES = 512
LASSO = 0.2  # chosen on dev words, one other seed: 0.12 empties 2 % of the units, 0.35 too many to learn
PLAIN = Recipe(dropout=0.0, l1=0.0, l2=0.0)
ARMS = {
    "dense": Recipe(),
    "pruned30": Recipe(remove=0.3),
    "pruned65": Recipe(remove=PRUNED),
    "dense-plain": PLAIN,
    "pruned65-plain": replace(PLAIN, remove=PRUNED),
    "dense-dropout": replace(PLAIN, dropout=0.3),
    "pruned65-dropout": replace(PLAIN, dropout=0.3, remove=PRUNED),
    "dense-lasso": replace(PLAIN, lasso=0.08),
    "pruned65-lasso": replace(PLAIN, lasso=0.08, remove=PRUNED),
    "zeros": replace(PLAIN, lasso=LASSO, zeros=True),
    # Chosen on dev strings: a wider network that is pruned to the usual size, and its control.
    "wide": Recipe(wide=1.6),
    "wide-pruned58": Recipe(wide=1.6, remove=0.58, criterion="taylor", begin=0.1, end=0.6),
    "dense-l2": replace(PLAIN, l1=1e-6, l2=1e-5),
    "pruned65-l2": replace(PLAIN, l1=1e-6, l2=1e-5, remove=PRUNED),
}


def warmed(highest: float, steps: int) -> Any:
    """A learning rate that rises from 0 for a tenth of the steps, then falls to 0 as a cosine."""
    warmup = steps // 10
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=highest, warmup_steps=max(warmup, 1)
    )  # fmt: skip


def learned(train: Words, dev: Words, recipe: Recipe, seed: int) -> Any:
    """A network trained from scratch, as a `keras.Model`; where units are removed, what comes back is small.

    What is zero after the group lasso is still there: `without_zeros` deletes it.
    """
    keras.utils.set_random_seed(seed)
    blocks = tuple(
        (wide(one, recipe), (wide(a, recipe), wide(b, recipe)), (wide(c, recipe), wide(d, recipe)), wide(pool, recipe))
        for one, (a, b), (c, d), pool in BLOCKS[: recipe.blocks]
    )
    network = googlenet_mfcc(
        train.features.shape[1:], len(WORDS) + 1, stem=wide(48, recipe), blocks=blocks,
        dense=(wide(128, recipe), wide(64, recipe)), dropout=recipe.dropout, l1=recipe.l1, l2=recipe.l2,
    )  # fmt: skip
    rate = warmed(recipe.learning_rate, recipe.steps(train))
    # XLA would compile longer than so short a training takes.
    network.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False
    )
    chosen = np.random.default_rng(seed).choice(len(train.classes), min(EXAMPLES, len(train.classes)), replace=False)
    seen = (train.features[chosen], train.classes[chosen]) if recipe.criterion == "taylor" else None
    callbacks: list[Any] = [GroupLasso(recipe.lasso)] if recipe.lasso else []
    if recipe.remove:
        callbacks.append(
            Pruner(recipe.remove, criterion=recipe.criterion, data=seen, begin=recipe.begin, end=recipe.end)
        )
    # Keras takes the last examples for validation: those are takes that are never learned from.
    features = np.concatenate([train.features, dev.features])
    classes = np.concatenate([train.classes, dev.classes])
    # TensorFlow would trace a first step that makes variables twice, which takes longer than two epochs.
    network.optimizer.build(network.trainable_variables)
    network.compute_metrics(None, classes[:1], network(features[:1]))
    network.fit(
        features, classes, epochs=recipe.epochs, batch_size=recipe.batch_size,
        validation_split=(len(dev.classes) - 0.5) / len(classes), callbacks=callbacks, verbose=2,
    )  # fmt: skip
    return callbacks[-1].shrunk() if recipe.remove else network


def wide(units: int, recipe: Recipe) -> int:
    """So many units in this recipe's network."""
    return round(units * recipe.wide)


def without_zeros(network: Any, features: Floats) -> tuple[Any, dict[str, float]]:
    """The network without its units that are zero, and what that changed."""
    small = prune(network, "zeros")
    far = np.abs(network.predict(features, verbose=0) - small.predict(features, verbose=0)).max()
    return small, {"parameters_before": network.count_params(), "difference": float(far)}
