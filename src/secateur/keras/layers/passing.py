"""Layers that hand every channel on: normalisation, activation, dropout, pooling, padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..channels import Flow
from .call import Call, rule
from .dense import channel_axis
from .merging import fixed


@rule(
    "Activation", "ReLU", "LeakyReLU", "ELU", "Dropout", "AlphaDropout", "GaussianNoise", "GaussianDropout",
    "ActivityRegularization", "Identity", "Rescaling", "StochasticDepth",
)  # fmt: skip
def value_by_value(call: Call) -> list[Flow]:
    """The same shape, and the same channels on the same axis."""
    layer, flow = call.layer, call.one()
    settings = [getattr(layer, name, None) for name in ("noise_shape", "scale", "offset")]
    if any(isinstance(value, Sequence | np.ndarray) for value in settings):
        call.net.pin(flow.ids, f"'{call.name}' has a value for each of them in its settings")
    if type(layer).__name__ == "Activation" and not call.activation(layer.activation, flow.ids):
        return [fixed(call, call.shapes[0])]
    return [flow]


@rule(
    "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D",
    "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", "Cropping1D", "Cropping2D", "Cropping3D", "UpSampling1D",
    "UpSampling2D", "UpSampling3D", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
    "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "Resizing",
)  # fmt: skip
def channel_by_channel(call: Call) -> list[Flow]:
    """Other axes change, every channel by itself."""
    flow = call.one()
    axis = channel_axis(call.layer, flow.rank)
    return [Flow(call.shapes[0], axis, call.channels(flow, axis))]


@rule(
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D", "GlobalMaxPooling1D",
    "GlobalMaxPooling2D", "GlobalMaxPooling3D",
)  # fmt: skip
def pool_all(call: Call) -> list[Flow]:
    """(batch, ..., channels) to (batch, channels)."""
    layer, flow, shape = call.layer, call.one(), call.shapes[0]
    axis = channel_axis(layer, flow.rank)
    ids = call.channels(flow, axis)
    return [Flow(shape, axis if layer.keepdims else 1, ids)]


@rule("BatchNormalization")
def batch_normalisation(call: Call) -> list[Flow]:
    """Every channel by itself: factor, offset and statistics go with it."""
    layer, net, flow = call.layer, call.net, call.one()
    ids = call.channels(flow, layer.axis)
    net.bind(layer.gamma, (0, ids), factor=True)
    net.bind(layer.beta, (0, ids))
    net.bind(layer.moving_mean, (0, ids), masked=False)
    net.bind(layer.moving_variance, (0, ids), masked=False)
    return [flow]


@rule("LayerNormalization", "RMSNormalization", "GroupNormalization", "UnitNormalization", "Softmax", "Normalization")
def over_channels(call: Call) -> list[Flow]:
    """What mixes all channels into one statistic keeps them all; over other axes only, channels pass."""
    layer, net, flow = call.layer, call.net, call.one()
    axis = getattr(layer, "axis", -1)
    axes = [a % flow.rank for a in (axis if isinstance(axis, Sequence) else [axis]) if a is not None]
    if flow.axis in axes or type(layer).__name__ in ("GroupNormalization", "Normalization"):
        net.pin(flow.ids, f"'{call.name}' normalises over them")
    for variable in layer.weights:
        net.bind(variable, masked=False)
    return [flow]


@rule("LayerScale")
def layer_scale(call: Call) -> list[Flow]:
    """A factor for every channel, of ConvNeXt."""
    layer, flow = call.layer, call.one()
    ids = call.channels(flow, -1)
    call.net.bind(layer.gamma, (0, ids), factor=True)
    call.net.width(call.path, "projection_dim", ids)
    return [flow]


@rule("PReLU")
def prelu(call: Call) -> list[Flow]:
    """Slopes of the input's shape, without the batch; shared axes have one."""
    layer, flow = call.layer, call.one()
    dim = flow.axis - 1
    if layer.alpha.shape[dim] == len(flow.ids) > 1:
        call.net.bind(layer.alpha, (dim, flow.ids))
    else:
        call.net.pin(flow.ids, f"'{call.name}' has one slope for all of them")
        call.net.bind(layer.alpha)
    return [flow]


@rule("Masking")
def masking(call: Call) -> list[Flow]:
    """A frame is masked when all its channels have one value: none may go."""
    flow = call.one()
    call.net.pin(flow.ids, f"'{call.name}' looks at all of them")
    return [flow]
