"""Published kinds of speech recognisers and waveform models in plain Keras, small; `SPEECH` has them by name,
and those of `keras_keyword_models` with them."""

from __future__ import annotations

from typing import Any

import keras
from keras import Input, layers, ops
from keras_keyword_models import FRAMES, MELS, SPEECH, classified, features, norm_relu, speech

__all__ = ["SPEECH"]


def open_features() -> Any:
    return Input((None, MELS))


def frames_out(features: Any, x: Any) -> Any:
    return keras.Model(features, layers.Dense(29, activation="log_softmax")(x))


@speech
def deep_speech_2() -> Any:  # Amodei et al. 2016; keras.io, "Automatic speech recognition using CTC"
    i = open_features()
    x = layers.Reshape((-1, MELS, 1))(i)
    x = norm_relu(layers.Conv2D(8, (11, 41), strides=2, padding="same", use_bias=False)(x))
    x = norm_relu(layers.Conv2D(8, (11, 21), strides=(1, 2), padding="same", use_bias=False)(x))
    x = layers.Reshape((-1, 10 * 8))(x)
    for _ in range(2):
        x = layers.Bidirectional(layers.GRU(16, return_sequences=True, reset_after=True))(x)
    return frames_out(i, layers.Dropout(0.5)(layers.Dense(32, activation="relu")(x)))


@speech
def wav2letter() -> Any:  # Collobert et al. 2016
    x = i = open_features()
    for filters, kernel, stride in ((32, 11, 2), (32, 7, 1), (48, 7, 1), (64, 1, 1)):
        x = layers.Conv1D(filters, kernel, strides=stride, padding="same", activation="relu")(x)
    return frames_out(i, x)


@speech
def jasper() -> Any:  # Li et al. 2019
    i = open_features()
    x = norm_relu(layers.Conv1D(32, 11, strides=2, padding="same")(i))
    before = [x]
    for width in (32, 40):
        y = norm_relu(layers.Conv1D(width, 11, padding="same")(x))
        y = layers.BatchNormalization()(layers.Conv1D(width, 11, padding="same")(y))
        x = layers.ReLU()(layers.Add()([y, *(layers.BatchNormalization()(layers.Conv1D(width, 1)(b)) for b in before)]))
        before.append(x)
    return frames_out(i, x)


@speech
def quartznet() -> Any:  # Kriman et al. 2020
    i = open_features()
    x = norm_relu(layers.SeparableConv1D(32, 33, strides=2, padding="same")(i))
    for width in (32, 48):
        y = norm_relu(layers.SeparableConv1D(width, 33, padding="same")(x))
        y = layers.BatchNormalization()(layers.SeparableConv1D(width, 33, padding="same")(y))
        x = layers.ReLU()(layers.Add()([y, layers.BatchNormalization()(layers.Conv1D(width, 1)(x))]))
    return frames_out(i, x)


@speech
def citrinet() -> Any:  # Majumdar et al. 2021
    i = open_features()
    x = norm_relu(layers.SeparableConv1D(32, 5, padding="same")(i))
    for _ in range(2):
        y = norm_relu(layers.SeparableConv1D(32, 11, padding="same")(x))
        gate = layers.Dense(32, activation="sigmoid")(layers.Dense(8, activation="relu")(
            layers.GlobalAveragePooling1D(keepdims=True)(y)
        ))  # fmt: skip
        x = layers.ReLU()(x + y * gate)
    return frames_out(i, x)


@speech
def context_net() -> Any:  # Han et al. 2020
    i = open_features()
    x = i
    for width in (32, 48):
        y = layers.Activation("silu")(layers.BatchNormalization()(layers.SeparableConv1D(width, 5, padding="same")(x)))
        gate = layers.Dense(width, activation="sigmoid")(layers.Dense(width // 8, activation="silu")(
            layers.GlobalAveragePooling1D(keepdims=True)(y)
        ))  # fmt: skip
        x = layers.Activation("silu")(layers.Conv1D(width, 1)(x) + y * gate)
    return frames_out(i, x)


@speech
def cldnn() -> Any:  # Sainath et al. 2015
    i = features()
    x = layers.Conv1D(32, 3, padding="same", activation="relu")(i)
    x = layers.LSTM(24, return_sequences=True)(layers.Dense(24)(x))
    x = layers.LSTM(24, return_sequences=True)(x)
    return frames_out(i, layers.Dense(32, activation="relu")(x))


@speech
def pyramidal_listener() -> Any:  # Chan et al. 2016, the encoder
    i = features()
    x = layers.Masking()(i)
    x = layers.Bidirectional(layers.LSTM(16, return_sequences=True))(x)
    for length in (32, 16):
        x = layers.Reshape((length, 64))(x)
        x = layers.Bidirectional(layers.LSTM(16, return_sequences=True))(x)
    return frames_out(i, x)


@speech
def listen_attend_spell() -> Any:  # Chan et al. 2016
    i, tokens = features(), Input((None,), dtype="int32")
    x = layers.Bidirectional(layers.LSTM(16, return_sequences=True))(i)
    y = layers.LSTM(32, return_sequences=True)(layers.Embedding(30, 24, mask_zero=True)(tokens))
    context = layers.Attention()([y, layers.Dense(32)(x)])
    return keras.Model([i, tokens], layers.Dense(30, activation="softmax")(layers.Concatenate()([y, context])))


@speech
def transducer_joint() -> Any:  # Graves 2012
    i, tokens = features(), Input((8,), dtype="int32")
    x = layers.LSTM(24, return_sequences=True)(i)
    y = layers.GRU(24, return_sequences=True)(layers.Embedding(30, 16)(tokens))
    joint = ops.tanh(ops.expand_dims(layers.Dense(32)(x), 2) + ops.expand_dims(layers.Dense(32)(y), 1))
    return keras.Model([i, tokens], layers.Dense(30)(joint))


def _conformer(x: Any, width: int, macaron: bool = True, kernel: int = 15) -> Any:
    def forward(y: Any) -> Any:
        y = layers.Dense(4 * width, activation="silu")(layers.LayerNormalization()(y))
        return layers.Dense(width)(layers.Dropout(0.1)(y))

    x = x + 0.5 * forward(x) if macaron else x
    y = layers.LayerNormalization()(x)
    x = x + layers.MultiHeadAttention(4, width // 4)(y, y)
    y = ops.glu(layers.Conv1D(2 * width, 1)(layers.LayerNormalization()(x)))
    y = layers.BatchNormalization()(layers.DepthwiseConv1D(kernel, padding="same")(y))
    x = x + layers.Conv1D(width, 1)(layers.Activation("silu")(y))
    return layers.LayerNormalization()(x + 0.5 * forward(x))


@speech
def conformer() -> Any:  # Gulati et al. 2020
    i = open_features()
    x = layers.Conv1D(32, 3, strides=2, padding="same", activation="relu")(i)
    for _ in range(2):
        x = _conformer(layers.Dense(32)(x), 32)
    return frames_out(i, x)


@speech
def squeezeformer() -> Any:  # Kim et al. 2022, one level of its U-net
    i = features()
    x = _conformer(layers.Dense(32)(i), 32, macaron=False, kernel=7)
    y = _conformer(layers.AveragePooling1D(2)(x), 32, macaron=False, kernel=7)
    return frames_out(i, x + layers.UpSampling1D(2)(y))


@speech
def speech_transformer() -> Any:  # Dong et al. 2018; keras.io, "ASR with Transformer"
    i, tokens = features(), Input((12,), dtype="int32")
    x = i
    for _ in range(3):
        x = layers.Conv1D(32, 11, strides=2, padding="same", activation="relu")(x)
    x = layers.LayerNormalization(epsilon=1e-6)(x + layers.MultiHeadAttention(2, 32)(x, x))
    x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dense(32)(layers.Dense(64, activation="relu")(x)))
    y = layers.Embedding(34, 32)(tokens)
    y = layers.LayerNormalization()(y + layers.MultiHeadAttention(2, 32)(y, y, use_causal_mask=True))
    y = layers.LayerNormalization()(y + layers.MultiHeadAttention(2, 32)(y, x))
    y = layers.LayerNormalization()(y + layers.Dense(32)(layers.Dense(64, activation="relu")(y)))
    return keras.Model([i, tokens], layers.Dense(34)(y))


@speech
def raw_waveform() -> Any:  # wav2vec's encoder (Schneider et al. 2019)
    x = i = Input((3200, 1))
    for kernel, stride in ((10, 5), (8, 4), (4, 2), (4, 2)):
        x = layers.Conv1D(32, kernel, strides=stride, use_bias=False)(x)
        x = layers.Activation("gelu")(layers.GroupNormalization(1)(x))
    return frames_out(i, x)


@speech
def m5_waveform() -> Any:  # Dai et al. 2017
    x = i = Input((8000, 1))
    for filters, kernel, stride in ((32, 80, 4), (32, 3, 1), (64, 3, 1)):
        x = layers.MaxPooling1D(4)(norm_relu(layers.Conv1D(filters, kernel, strides=stride, padding="same")(x)))
    return classified(i, layers.GlobalAveragePooling1D()(x))


@speech
def mel_inside() -> Any:  # keras.io: the spectrogram is a layer
    i = Input((4000,))
    mel = layers.MelSpectrogram(256, 80, sequence_length=200, sampling_rate=8000, num_mel_bins=20)(i)
    x = layers.Conv1D(24, 3, activation="relu")(layers.Permute((2, 1))(mel))
    return classified(i, layers.GlobalAveragePooling1D()(layers.Conv1D(24, 3, activation="relu")(x)))


@speech
def voice_activity_lstm() -> Any:  # Eyben et al. 2013
    i = open_features()
    x = layers.LSTM(16, return_sequences=True)(layers.LSTM(24, return_sequences=True)(i))
    return keras.Model(i, layers.Dense(1, activation="sigmoid")(x))


@speech
def speech_enhancement_unet() -> Any:  # Jansson et al. 2017
    i = Input((FRAMES, MELS, 1))
    one = norm_relu(layers.Conv2D(8, 5, strides=2, padding="same")(i))
    two = norm_relu(layers.Conv2D(16, 5, strides=2, padding="same")(one))
    x = norm_relu(layers.Conv2DTranspose(8, 5, strides=2, padding="same")(two))
    x = layers.Conv2DTranspose(1, 5, strides=2, padding="same", activation="sigmoid")(layers.Concatenate()([x, one]))
    return keras.Model(i, layers.Multiply()([x, i]))


@speech
def conv_tasnet_mask() -> Any:  # Luo and Mesgarani 2019, the separator
    i = features()
    x = layers.Conv1D(24, 1)(i)
    skips = []
    for dilation in (1, 2):
        y = layers.PReLU(shared_axes=[1])(layers.Conv1D(32, 1)(x))
        y = layers.BatchNormalization()(y)
        y = layers.DepthwiseConv1D(3, dilation_rate=dilation, padding="same")(y)
        skips.append(layers.Conv1D(24, 1)(y))
        x = x + layers.Conv1D(24, 1)(y)
    return keras.Model(i, layers.Conv1D(2 * MELS, 1, activation="sigmoid")(layers.Add()(skips)))


@speech
def convolutional_lstm() -> Any:  # Shi et al. 2015, on pieces of a spectrogram
    i = features()
    x = layers.ConvLSTM1D(12, 3, return_sequences=True)(layers.Reshape((8, 8, MELS))(i))
    return classified(i, layers.Flatten()(layers.ConvLSTM1D(8, 3)(x)))


@speech
def stacked_cells() -> Any:  # Sutskever et al. 2014
    i = features()
    x = layers.RNN([layers.LSTMCell(24), layers.LSTMCell(20)], return_sequences=True)(i)
    return classified(i, layers.RNN([layers.GRUCell(16), layers.GRUCell(12)])(x))


@speech
def tacotron_encoder() -> Any:  # Shen et al. 2018
    i = Input((None,), dtype="int32")
    x = layers.Embedding(40, 32)(i)
    for _ in range(2):
        x = norm_relu(layers.Conv1D(32, 5, padding="same")(x))
    return frames_out(i, layers.Bidirectional(layers.LSTM(16, return_sequences=True))(x))


@speech
def spectral_discriminator() -> Any:  # Miyato et al. 2018, as vocoders have it
    x = i = Input((400, 1))
    for filters in (16, 24, 32):
        x = layers.LeakyReLU(0.1)(layers.SpectralNormalization(layers.Conv1D(filters, 5, strides=3))(x))
    return keras.Model(i, layers.SpectralNormalization(layers.Conv1D(1, 3))(x))
