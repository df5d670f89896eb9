"""A GoogLeNet for MFCC features in plain Keras layers: Inception blocks over time, then dense layers.

Any Keras backend builds, trains, saves and exports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..base.errors import SecateurError
from ..base.extras import require

if TYPE_CHECKING:
    from keras import Model

# Of one block: 1 frame; 3 frames after a reduction; 5 frames after a reduction; after max-pooling.
Widths = tuple[int, tuple[int, int], tuple[int, int], int]
BLOCKS: tuple[Widths, ...] = (
    (24, (24, 32), (12, 16), 16),
    (32, (32, 48), (16, 24), 24),
    (40, (32, 56), (16, 24), 24),
)
MOMENTUM = 0.9  # of batch normalisation: runs are hundreds of steps here, and pruning moves its statistics


def googlenet_mfcc(
    inputs: tuple[int, int],
    classes: int = 11,
    *,
    stem: int = 48,
    blocks: Sequence[Widths] = BLOCKS,
    dense: Sequence[int] = (128, 64),
    dropout: float = 0.3,
    noise: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    name: str = "googlenet_mfcc",
) -> Model:
    """An uncompiled `keras.Model` from features (batch, frames, features) to probabilities (batch, classes).

    A stem of 5 frames at half the frame rate, Inception blocks (Szegedy et al. 2015, "Going deeper with convolutions",
    with batch normalisation as in Ioffe and Szegedy 2015), the mean over time, dense layers. Frames are what the
    convolutions slide over; coefficients are their channels, since neighbouring coefficients of a cepstrum are not
    alike as neighbouring pixels are. The first layer brings every coefficient to one scale; after the second block the
    frame rate is halved again.

    Args:
        inputs: frames and features a frame, both fixed.
        classes: how many there are to tell apart.
        stem: channels of the first convolution.
        blocks: widths of the branches, one tuple a block: `(one, (reduce, three), (reduce, five), pool)`.
        dense: units of the dense layers before the output layer.
        dropout: share of values dropped before each dense layer, from 0 to below 1.
        noise: deviation of the noise added to the scaled features in training; 0: none.
        l1: factor of the sum of absolute weights in the loss, for all kernels.
        l2: factor of the sum of squared weights in the loss, for all kernels.

    Raises:
        SecateurError: Keras is not installed, or a size or share that cannot be.
    """
    _check(inputs, classes, stem, blocks, dense, dropout)
    keras = require("keras", "keras")
    layers = keras.layers

    def regulariser() -> Any:
        return keras.regularizers.L1L2(l1, l2) if l1 or l2 else None

    def convolution(x: object, channels: int, frames: int, label: str, stride: int = 1) -> Any:
        x = layers.Conv1D(
            channels, frames, strides=stride, padding="same", use_bias=False, kernel_regularizer=regulariser(),
            name=label,
        )(x)  # fmt: skip
        x = layers.BatchNormalization(momentum=MOMENTUM, name=f"{label}_norm")(x)
        return layers.Activation("relu", name=f"{label}_relu")(x)

    def inception(x: object, widths: Widths, label: str) -> Any:
        one, (reduce3, three), (reduce5, five), pool = widths
        return layers.Concatenate(name=label)(
            [
                convolution(x, one, 1, f"{label}_one"),
                convolution(convolution(x, reduce3, 1, f"{label}_three_reduce"), three, 3, f"{label}_three"),
                convolution(convolution(x, reduce5, 1, f"{label}_five_reduce"), five, 5, f"{label}_five"),
                convolution(
                    layers.MaxPooling1D(3, strides=1, padding="same", name=f"{label}_max")(x), pool, 1, f"{label}_pool"
                ),
            ]
        )

    features = keras.Input(inputs, name="features")
    x = layers.BatchNormalization(momentum=MOMENTUM, name="scale")(features)
    if noise:
        x = layers.GaussianNoise(noise, name="noise")(x)
    x = convolution(x, stem, 5, "stem", stride=2)
    for number, widths in enumerate(blocks, 1):
        x = inception(x, widths, f"inception{number}")
        if number == 2 and number < len(blocks):
            x = layers.MaxPooling1D(3, strides=2, padding="same", name="halve")(x)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    for number, units in enumerate(dense, 1):
        x = layers.Dropout(dropout, name=f"dropout{number}")(x)
        x = layers.Dense(units, activation="relu", kernel_regularizer=regulariser(), name=f"dense{number}")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Dense(classes, activation="softmax", kernel_regularizer=regulariser(), name="output")(x)
    return keras.Model(features, x, name=name)


def _check(
    inputs: tuple[int, int], classes: int, stem: int, blocks: Sequence[Widths], dense: Sequence[int], dropout: float
) -> None:
    """Sizes that layers can be built with."""
    if len(inputs) != 2 or min(inputs) < 1:
        raise SecateurError(f"inputs must be (frames, features), both at least 1, found {tuple(inputs)}")
    if classes < 2:
        raise SecateurError(f"classes must be at least 2, found {classes}")
    if not blocks:
        raise SecateurError("a GoogLeNet needs at least one Inception block: give blocks")
    widths = [stem, *dense]
    for one, (reduce3, three), (reduce5, five), pool in blocks:
        widths += [one, reduce3, three, reduce5, five, pool]
    if min(widths) < 1:
        raise SecateurError(f"every layer needs at least one unit, found {min(widths)}")
    if not 0 <= dropout < 1:
        raise SecateurError(f"dropout must be from 0 to below 1, found {dropout:g}")
