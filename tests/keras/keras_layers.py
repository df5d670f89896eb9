"""Small models, one a type of layer, as functions of nothing: `CASES` by name. Inputs are random; lengths differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import Input, Sequential, layers, ops

Model = Callable[[], Any]
CASES: dict[str, Model] = {}
FRAMES, FEATURES = 12, 6


def case(build: Model) -> Model:
    CASES[build.__name__] = build
    return build


def chain(*parts: Any, shape: tuple[int | None, ...] = (FRAMES, FEATURES), end: bool = True) -> Any:
    """Layers one after the other, then three classes."""
    return Sequential([Input(shape), *parts, *([layers.Dense(3)] if end else [])])


def inputs_of(model: Any, seed: int = 0) -> Any:
    """Five examples of each input; the later ones are padded with zeros from some frame on."""
    random = np.random.default_rng(seed)
    found = []
    for tensor in model.inputs:
        shape = (5, *(FRAMES if size is None else size for size in tensor.shape[1:]))
        if "int" in str(tensor.dtype):
            x = random.integers(1, 9, shape).astype("int32")
        else:
            x = random.standard_normal(shape).astype("float32")
        if len(shape) > 2 or "int" in str(tensor.dtype):
            for row, length in ((2, 9), (3, 5), (4, 1)):
                x[row, length:] = 0
        found.append(x)
    return found if len(found) > 1 else found[0]


def unsettled(model: Any, seed: int = 1) -> Any:
    """The model with random weights everywhere: biases, factors and statistics are not what they start as."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        if variable.name == "count":
            continue
        value = random.standard_normal(variable.shape) * 0.4
        variable.assign(np.abs(value) + 0.5 if "variance" in variable.path or "gamma" in variable.path else value)
    return model


@case
def dense() -> Any:
    return chain(layers.Dense(8, activation="relu"), layers.Dense(9, activation="sigmoid"), shape=(FEATURES,))


@case
def dense_over_frames() -> Any:
    return chain(layers.Dense(8, activation="gelu"), layers.TimeDistributed(layers.Dense(6)), layers.LSTM(5))


@case
def conv1d() -> Any:
    return chain(
        layers.Conv1D(8, 3, padding="causal", activation="tanh"), layers.Conv1D(7, 3, strides=2, use_bias=False),
        layers.BatchNormalization(scale=False), layers.ReLU(), layers.GlobalMaxPooling1D(),
    )  # fmt: skip


@case
def conv2d_and_flatten() -> Any:
    return chain(
        layers.Reshape((FRAMES, FEATURES, 1)), layers.ZeroPadding2D(1), layers.Conv2D(5, 3, activation="softplus"),
        layers.MaxPooling2D(2), layers.SpatialDropout2D(0.2), layers.Conv2D(4, 2), layers.PReLU(shared_axes=[1, 2]),
        layers.Flatten(), layers.Dense(6, activation="relu"),
    )  # fmt: skip


@case
def depthwise() -> Any:
    return chain(
        layers.Conv1D(6, 3, padding="same"), layers.DepthwiseConv1D(3, depth_multiplier=2), layers.Activation("silu"),
        layers.Conv1D(5, 1), layers.GlobalAveragePooling1D(keepdims=True), layers.Flatten(),
    )  # fmt: skip


@case
def depthwise2d() -> Any:
    return chain(
        layers.Reshape((FRAMES, FEATURES, 1)), layers.Conv2D(6, 3), layers.DepthwiseConv2D(3), layers.Conv2D(4, 1),
        layers.Reshape((-1, 8)), layers.GRU(4),
    )  # fmt: skip


@case
def grouped() -> Any:
    return chain(
        layers.Conv1D(12, 3, padding="same"), layers.Conv1D(18, 3, groups=6, activation="relu", name="many"),
        layers.BatchNormalization(), layers.Conv1D(12, 3, groups=2, name="few"), layers.Conv1D(5, 1),
        layers.GlobalMaxPooling1D(),
    )  # fmt: skip


@case
def separable() -> Any:
    return chain(
        layers.SeparableConv1D(8, 3, depth_multiplier=2, activation="relu"), layers.SeparableConv1D(6, 3),
        layers.Reshape((8, 6, 1)), layers.SeparableConv2D(4, 3), layers.GlobalAveragePooling2D(),
    )  # fmt: skip


@case
def transposed() -> Any:
    return chain(layers.Conv1DTranspose(6, 3, strides=2), layers.Conv1D(5, 3), layers.GlobalAveragePooling1D())


@case
def lstm_masked() -> Any:
    return chain(layers.Masking(), layers.LSTM(8, return_sequences=True), layers.Dropout(0.3), layers.LSTM(6))


@case
def gru_masked() -> Any:
    return chain(layers.Masking(), layers.GRU(8, return_sequences=True), layers.GRU(6, reset_after=False))


@case
def simple_rnn() -> Any:
    return chain(layers.SimpleRNN(8, return_sequences=True, go_backwards=True), layers.SimpleRNN(6))


@case
def bidirectional_masked() -> Any:
    return chain(
        layers.Masking(), layers.Bidirectional(layers.LSTM(6, return_sequences=True)),
        layers.Bidirectional(layers.GRU(5, return_sequences=True), merge_mode="sum"),
        layers.Bidirectional(layers.LSTM(4, activation="sigmoid")),
    )  # fmt: skip


@case
def tokens_masked() -> Any:
    tokens = Input((FRAMES,), dtype="int32")
    x = layers.Embedding(9, 8, mask_zero=True)(tokens)
    x = layers.Bidirectional(layers.GRU(6))(x)
    return keras.Model(tokens, layers.Dense(3)(x))


@case
def encoder_and_decoder() -> Any:
    source, target = Input((FRAMES, FEATURES)), Input((FRAMES, 4))
    _, *states = layers.LSTM(6, return_state=True)(layers.Masking()(source))
    return keras.Model([source, target], layers.Dense(3)(layers.LSTM(6)(target, initial_state=states)))


@case
def attention_masked() -> Any:
    tokens = Input((FRAMES,), dtype="int32")
    x = layers.Embedding(9, 8, mask_zero=True)(tokens)
    y = layers.MultiHeadAttention(4, 6, value_dim=5)(x, x)
    x = layers.LayerNormalization()(layers.Add()([x, y]))
    y = layers.Dense(8)(layers.Dense(12, activation="relu")(x))
    return keras.Model(tokens, layers.Dense(3)(layers.LayerNormalization()(x + y)))


@case
def attention_across() -> Any:
    source, target = Input((None, FEATURES)), Input((7, 4))
    heard = layers.Conv1D(8, 3, padding="same")(source)
    asked = layers.Dense(9)(target)
    x = layers.MultiHeadAttention(3, 4, use_bias=False)(asked, heard, key=layers.Dense(5)(heard), use_causal_mask=True)
    return keras.Model([source, target], layers.Dense(3)(layers.MultiHeadAttention(2, 3, output_shape=6)(x, heard)))


@case
def inception() -> Any:
    features = Input((FRAMES, FEATURES))
    x = layers.Conv1D(8, 3, padding="same")(features)
    parts = [
        layers.Conv1D(4, 1)(x),
        layers.Conv1D(5, 3, padding="same")(layers.ReLU()(layers.BatchNormalization()(layers.Conv1D(6, 1)(x)))),
        layers.Conv1D(3, 1)(layers.MaxPooling1D(3, strides=1, padding="same")(x)),
    ]
    x = layers.BatchNormalization()(layers.Concatenate()(parts))
    x = layers.Concatenate(axis=1)([x, layers.ReLU()(x)])
    return keras.Model(features, layers.Dense(3)(layers.Flatten()(x)))


@case
def residual() -> Any:
    features = Input((FRAMES, FEATURES))
    x = layers.Conv1D(8, 3, padding="same", name="stem")(features)
    for number in range(2):
        y = layers.Conv1D(5, 3, padding="same", activation="relu", name=f"in{number}")(x)
        y = layers.Conv1D(8, 3, padding="same", name=f"out{number}")(y)
        x = layers.Add()([x, y]) if number else ops.relu(x + y * 0.5)
    halves = layers.Concatenate()([layers.Conv1D(4, 1)(x), layers.Conv1D(4, 1)(x)])
    return keras.Model(features, layers.Dense(3)(layers.GlobalAveragePooling1D()(x - halves)))


@case
def squeezed() -> Any:
    features = Input((FRAMES, FEATURES))
    x = layers.Conv1D(8, 3, activation="relu")(features)
    gate = layers.Dense(8, activation="sigmoid")(layers.Dense(3)(layers.GlobalAveragePooling1D(keepdims=True)(x)))
    loud = layers.Dense(1)(x)
    x = layers.Multiply()([x, gate, loud])
    return keras.Model(features, layers.Dense(3)(layers.GlobalMaxPooling1D()(x)))


@case
def moved() -> Any:
    features = Input((FRAMES, FEATURES))
    x = layers.Permute((2, 1))(layers.Dense(8)(features))  # (features, frames): units are rows now
    x = layers.Permute((2, 1))(layers.LayerNormalization()(x))
    y = layers.GlobalMaxPooling1D()(layers.RepeatVector(2)(layers.Flatten()(x)))
    y = layers.Reshape((4, 6))(layers.Dense(24)(y))
    return keras.Model(features, layers.Dense(3)(layers.Flatten()(layers.Conv1D(5, 2)(y))))


@case
def nested() -> Any:
    a, b = Input((None, 8)), Input((None, 8))
    inner = keras.Model([a, b], layers.Dense(7)(layers.Add()([layers.Dense(5)(a), layers.Dense(5)(b)])), name="inner")
    tail = Sequential([Input((None, 7)), layers.Conv1D(6, 3, activation="relu"), layers.GRU(4)], name="tail")
    features = Input((FRAMES, FEATURES))
    x, y = layers.Dense(8)(features), layers.Conv1D(8, 3, padding="same")(features)
    return keras.Model(features, layers.Dense(3)(tail(inner([x, y]))))


@case
def shared() -> Any:
    one, two = Input((FRAMES, FEATURES)), Input((FRAMES, FEATURES))
    ear = Sequential([Input((FRAMES, FEATURES)), layers.Conv1D(8, 3), layers.GlobalAveragePooling1D()], name="ear")
    head = layers.Dense(6, activation="tanh")
    return keras.Model([one, two], layers.Dense(3)(layers.Concatenate()([head(ear(one)), head(ear(two))])))


@case
def operations() -> Any:
    features = Input((FRAMES, FEATURES))
    x = ops.glu(layers.Conv1D(16, 3, padding="same")(features))  # a unit and its gate go together
    one, two = ops.split(layers.Conv1D(12, 3, padding="same")(x), 2, axis=-1)
    x = ops.squeeze(ops.expand_dims(ops.swapaxes(ops.transpose(one * ops.sigmoid(two), (0, 2, 1)), 1, 2), 1), 1)
    x = ops.mean(ops.stack([x[:, ::2], x[:, 1::2], x[:, :6] / 2.0], axis=1), axis=1) ** 2
    asked = ops.softmax(layers.Dense(1)(x), axis=1)
    parts = [ops.sum(asked * x, axis=1), x[:, -1], ops.max(x, axis=1), ops.reshape(x, (-1, 36))]
    return keras.Model(features, layers.Dense(3)(ops.concatenate(parts, axis=1)))


@case
def masks_joined() -> Any:
    features = Input((FRAMES, FEATURES))
    x = layers.Masking()(features)
    one, two = layers.Dense(8)(x), layers.TimeDistributed(layers.Dense(7))(features)
    both = layers.Bidirectional(layers.GRU(4, return_sequences=True), merge_mode=None)
    one, two = both(layers.Concatenate()([one, two]))
    x = layers.Concatenate()([layers.Concatenate(axis=1)([one, two]), layers.Concatenate(axis=1)([two, one])])
    return keras.Model(features, layers.Dense(3)(layers.LSTM(5)(x)))


@case
def grouped_attention() -> Any:
    tokens = Input((FRAMES,), dtype="int32")
    x = layers.Embedding(9, 8, mask_zero=True)(tokens)
    x = x + layers.GroupQueryAttention(4, 4, 2)(x, x)
    x = layers.GroupQueryAttention(5, 3, 3, use_bias=False)(x, x, use_causal_mask=True)
    return keras.Model(tokens, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


@case
def attention_without_kernels() -> Any:
    features = Input((FRAMES, FEATURES))
    x, y, z = (layers.Conv1D(8, 1)(features) for _ in range(3))
    x = layers.AdditiveAttention()([layers.Attention(use_scale=True)([x, layers.Dense(6)(x), y]), layers.Dense(6)(z)])
    weights = ops.softmax(ops.matmul(layers.Dense(7)(x), ops.transpose(layers.Dense(7)(y), (0, 2, 1))))
    x = ops.matmul(weights, layers.Dense(5)(z))
    alike = layers.Dot(2, normalize=True)([layers.Dense(6)(x), layers.Dense(6)(y)])
    return keras.Model(features, layers.Dense(3)(layers.Concatenate()([layers.Flatten()(alike), layers.GRU(4)(x)])))


@case
def cells_and_einsums() -> Any:
    return chain(
        layers.EinsumDense("abc,cd->abd", (None, 8), bias_axes="d", activation="relu"),
        layers.RNN(layers.GRUCell(7), return_sequences=True), layers.AdaptiveAveragePooling1D(6),
        layers.Bidirectional(layers.RNN(layers.LSTMCell(5))),
    )  # fmt: skip


@case
def low_rank() -> Any:
    tokens = Input((FRAMES,), dtype="int32")
    parts = [layers.Embedding(9, 8), layers.Conv1D(8, 3), layers.TimeDistributed(layers.Dense(7)), layers.Dense(6)]
    parts.append(layers.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d"))
    x = tokens
    for layer in parts:
        x = layer(x)
        getattr(layer, "layer", layer).enable_lora(2, lora_alpha=3)
    return keras.Model(tokens, layers.Dense(3)(layers.GlobalMaxPooling1D()(x)))


@case
def stacked_cells() -> Any:
    cells = [layers.LSTMCell(6), layers.GRUCell(8), layers.SimpleRNNCell(5)]
    return chain(layers.Dense(7), layers.RNN(cells, return_sequences=True), layers.RNN([layers.GRUCell(4)]))


@case
def convolutional_recurrence() -> Any:
    return chain(
        layers.Reshape((4, 3, FEATURES)), layers.ConvLSTM1D(6, 2, return_sequences=True),
        layers.Reshape((4, 2, 6, 1)), layers.ConvLSTM2D(4, (1, 2)), layers.Flatten(),
    )  # fmt: skip


@case
def spectral() -> Any:
    return chain(
        layers.SpectralNormalization(layers.Conv1D(8, 3)), layers.ReLU(), layers.Conv1D(5, 1),
        layers.SpectralNormalization(layers.Dense(7)), layers.GlobalAveragePooling1D(),
    )  # fmt: skip


@case
def flattened_with_channels_first() -> Any:
    return chain(layers.Conv1D(8, 3), layers.Flatten(data_format="channels_first"), layers.Dense(7))


@case
def reshaped_without_length() -> Any:
    return chain(
        layers.Conv1D(6, 3, padding="same", activation=layers.LeakyReLU(0.1)), layers.Reshape((-1, 4)), layers.GRU(4),
        shape=(None, FEATURES),
    )  # fmt: skip


@case
def normalised() -> Any:
    known = layers.Normalization()
    known.adapt(np.random.default_rng(0).normal(2, 3, (50, FRAMES, FEATURES)))
    return chain(known, layers.Conv1D(8, 3), layers.Rescaling(2.0, 0.5), layers.GRU(6))


if keras.backend.backend() == "torch":  # TensorFlow on a CPU has no such convolutions

    @case
    def channels_first() -> Any:
        form = {"data_format": "channels_first"}
        return chain(
            layers.Reshape((1, FRAMES, FEATURES)), layers.Conv2D(6, 3, **form), layers.BatchNormalization(axis=1),
            layers.MaxPooling2D(2, **form), layers.Conv2D(4, 2, **form), layers.GlobalAveragePooling2D(**form),
        )  # fmt: skip
