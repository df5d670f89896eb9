"""Published kinds of speech models in plain Keras, small: `SPEECH` by name, functions of nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import Input, layers, ops

SPEECH: dict[str, Callable[[], Any]] = {}
FRAMES, MELS, CLASSES = 64, 40, 12


def speech(build: Callable[[], Any]) -> Callable[[], Any]:
    SPEECH[build.__name__] = build
    return build


def norm_relu(x: Any) -> Any:
    return layers.ReLU()(layers.BatchNormalization()(x))


def classified(features: Any, x: Any) -> Any:
    return keras.Model(features, layers.Dense(CLASSES, activation="softmax")(x))


def features() -> Any:
    return Input((FRAMES, MELS))


@speech
def dense_keywords() -> Any:  # Chen et al. 2014
    x = i = features()
    x = layers.Flatten()(x)
    for _ in range(3):
        x = layers.Dense(64, activation="relu")(x)
    return classified(i, x)


@speech
def cnn_trad_fpool() -> Any:  # Sainath and Parada 2015
    i = features()
    x = layers.Conv2D(16, (20, 8), activation="relu")(layers.Reshape((FRAMES, MELS, 1))(i))
    x = layers.Conv2D(16, (10, 4), activation="relu")(layers.MaxPooling2D((1, 3))(x))
    return classified(i, layers.Dense(32)(layers.Flatten()(x)))


@speech
def ds_cnn() -> Any:  # Zhang et al. 2017
    i = features()
    x = norm_relu(layers.Conv2D(24, (10, 4), strides=2, padding="same")(layers.Reshape((FRAMES, MELS, 1))(i)))
    for _ in range(3):
        x = norm_relu(layers.DepthwiseConv2D(3, padding="same")(x))
        x = norm_relu(layers.Conv2D(24, 1)(x))
    return classified(i, layers.GlobalAveragePooling2D()(x))


@speech
def tc_resnet() -> Any:  # Choi et al. 2019
    i = features()
    x = layers.Conv1D(16, 3, padding="same")(i)
    for width, stride in ((24, 2), (32, 2), (48, 2)):
        y = norm_relu(layers.Conv1D(width, 9, strides=stride, padding="same")(x))
        y = layers.BatchNormalization()(layers.Conv1D(width, 9, padding="same")(y))
        x = layers.ReLU()(layers.Add()([y, norm_relu(layers.Conv1D(width, 1, strides=stride)(x))]))
    return classified(i, layers.Dropout(0.5)(layers.GlobalAveragePooling1D()(x)))


@speech
def matchboxnet() -> Any:  # Majumdar and Ginsburg 2020
    i = features()
    x = norm_relu(layers.SeparableConv1D(32, 11, strides=2, padding="same")(i))
    for kernel in (13, 15):
        y = norm_relu(layers.SeparableConv1D(24, kernel, padding="same")(x))
        y = layers.BatchNormalization()(layers.SeparableConv1D(24, kernel, padding="same")(y))
        x = layers.ReLU()(layers.Add()([layers.BatchNormalization()(layers.Conv1D(24, 1)(x)), y]))
    x = norm_relu(layers.SeparableConv1D(32, 29, dilation_rate=2, padding="same")(x))
    return classified(i, layers.GlobalAveragePooling1D()(x))


@speech
def bc_resnet() -> Any:  # Kim et al. 2021
    i = features()
    x = norm_relu(layers.Conv2D(16, 5, strides=(1, 2), padding="same")(layers.Reshape((FRAMES, MELS, 1))(i)))
    for _ in range(2):
        y = layers.BatchNormalization()(layers.DepthwiseConv2D((1, 3), padding="same")(x))
        t = ops.mean(y, axis=2, keepdims=True)
        t = layers.Activation("silu")(layers.BatchNormalization()(layers.DepthwiseConv2D((3, 1), padding="same")(t)))
        x = layers.ReLU()(x + y + layers.Conv2D(16, 1)(t))
    return classified(i, layers.GlobalAveragePooling2D()(x))


@speech
def crnn_keywords() -> Any:  # Arik et al. 2017
    i = features()
    x = layers.Conv2D(16, (20, 5), strides=(8, 2), activation="relu")(layers.Reshape((FRAMES, MELS, 1))(i))
    x = layers.Reshape((6, 18 * 16))(x)
    for _ in range(2):
        x = layers.Bidirectional(layers.GRU(16, return_sequences=True))(x)
    return classified(i, layers.Dense(32, activation="relu")(layers.Flatten()(x)))


@speech
def attention_rnn() -> Any:  # de Andrade et al. 2018
    i = features()
    x = norm_relu(layers.Conv2D(10, (5, 1), padding="same")(layers.Reshape((FRAMES, MELS, 1))(i)))
    x = layers.Reshape((FRAMES, MELS))(layers.Conv2D(1, (5, 1), padding="same")(x))
    x = layers.Bidirectional(layers.LSTM(16, return_sequences=True))(x)
    query = layers.Dense(32)(x[:, -1])
    scores = layers.Dot((1, 2))([query, x])
    x = layers.Dot((1, 1))([layers.Softmax()(scores), x])
    return classified(i, layers.Dense(24, activation="relu")(x))


@speech
def keyword_transformer() -> Any:  # Berg et al. 2021
    i = features()
    x = layers.Dense(32)(i)
    for _ in range(2):
        x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 16)(x, x))
        x = layers.LayerNormalization()(x + layers.Dense(32)(layers.Dense(64, activation="gelu")(x)))
    return classified(i, layers.GlobalAveragePooling1D()(x))


@speech
def audio_spectrogram_transformer() -> Any:  # Gong et al. 2021
    i = features()
    x = layers.Conv2D(32, 16, strides=8, name="patches")(layers.Reshape((FRAMES, MELS, 1))(i))
    x = layers.Reshape((28, 32))(x)
    for _ in range(2):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(4, 8)(y, y)])
        y = layers.Dense(64, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(32)(y)])
    return classified(i, layers.LayerNormalization()(x)[:, 0])


@speech
def x_vector() -> Any:  # Snyder et al. 2018
    x = i = features()
    for kernel, dilation in ((5, 1), (3, 2), (3, 3), (1, 1)):
        x = norm_relu(layers.Conv1D(32, kernel, dilation_rate=dilation)(x))
    pooled = ops.concatenate([ops.mean(x, axis=1), ops.sqrt(ops.var(x, axis=1) + 1e-5)], axis=-1)
    return classified(i, layers.Dense(32, activation="relu")(layers.Dense(32)(pooled)))


@speech
def ecapa_tdnn() -> Any:  # Desplanques et al. 2020
    i = features()
    x = norm_relu(layers.Conv1D(32, 5, padding="same")(i))
    outs = []
    for dilation in (2, 3):
        parts = ops.split(norm_relu(layers.Conv1D(32, 1)(x)), 4, axis=-1)
        done, last = [parts[0]], None
        for part in parts[1:]:
            last = norm_relu(layers.Conv1D(8, 3, dilation_rate=dilation, padding="same")(
                part if last is None else part + last
            ))  # fmt: skip
            done.append(last)
        y = norm_relu(layers.Conv1D(32, 1)(layers.Concatenate()(done)))
        gate = layers.Conv1D(8, 1, activation="relu")(layers.GlobalAveragePooling1D(keepdims=True)(y))
        x = x + y * layers.Conv1D(32, 1, activation="sigmoid")(gate)
        outs.append(x)
    x = layers.Conv1D(48, 1, activation="relu")(layers.Concatenate()(outs))
    weights = ops.softmax(layers.Conv1D(48, 1)(layers.Conv1D(16, 1, activation="tanh")(x)), axis=1)
    mean = ops.sum(weights * x, axis=1)
    deviation = ops.sqrt(ops.maximum(ops.sum(weights * x * x, axis=1) - mean * mean, 1e-5))
    return classified(i, layers.Dense(24)(layers.BatchNormalization()(ops.concatenate([mean, deviation], axis=-1))))


@speech
def thin_resnet_speaker() -> Any:  # Xie et al. 2019, without its dictionary
    i = features()
    x = norm_relu(layers.Conv2D(16, 7, padding="same")(layers.Reshape((FRAMES, MELS, 1))(i)))
    for width, stride in ((16, 1), (24, 2)):
        y = norm_relu(layers.Conv2D(width // 2, 1)(x))
        y = norm_relu(layers.Conv2D(width // 2, 3, strides=stride, padding="same")(y))
        y = layers.BatchNormalization()(layers.Conv2D(width, 1)(y))
        x = layers.ReLU()(layers.Add()([y, layers.Conv2D(width, 1, strides=stride)(x)]))
    return classified(i, layers.Dense(32, activation="relu")(layers.GlobalMaxPooling2D()(x)))


@speech
def resnext_grouped() -> Any:  # Xie et al. 2017, on frames
    i = features()
    x = layers.Conv1D(32, 1)(i)
    for _ in range(2):
        y = norm_relu(layers.Conv1D(24, 3, groups=6, padding="same")(norm_relu(layers.Conv1D(24, 1)(x))))
        x = layers.ReLU()(layers.Add()([x, layers.BatchNormalization()(layers.Conv1D(32, 1)(y))]))
    return classified(i, layers.GlobalAveragePooling1D()(x))
