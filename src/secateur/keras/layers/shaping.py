"""Layers and operations that move values: followed value by value, so that channels are found wherever they end up."""

from __future__ import annotations

import math

import numpy as np

from ..channels import Flow, Ids, Shape, Weight
from .call import Call, Rule, flows_in, rule
from .merging import concatenate, fixed

LARGEST = 1 << 24  # values of one example


@rule("Flatten")
def flatten(call: Call) -> list[Flow]:
    """(batch, a, b) to (batch, a * b): a channel is at many places. What comes with channels first has them last."""
    numbers = _numbers(call, call.one(), call.shapes[0][1:])
    if call.layer.data_format == "channels_first" and numbers.ndim > 1:
        numbers = np.moveaxis(numbers, 0, -1)
    return [_refocused(call, numbers.reshape(-1), call.shapes[0])]


@rule("Reshape")
def reshape(call: Call) -> list[Flow]:
    """The values in another shape; where one channel ends up at several channels, they become one unit."""
    return _reshaped(call, "target_shape", 1)


def reshape_all(call: Call) -> list[Flow]:
    """`ops.reshape`, whose shape begins with the batch; batch and frames become one axis where channels stay last."""
    flow, shape = call.one(), call.shapes[0]
    new = call.layer.newshape
    if all(isinstance(size, int) for size in new):
        old, sizes = [*flow.shape[1:]], [*shape[1:]]
        if None not in old + sizes and math.prod(sizes) == math.prod(old):  # type: ignore[arg-type]
            return _reshaped(call, "newshape", 0)
        if flow.axis == flow.rank - 1 and len(flow.ids) and shape[-1] == flow.shape[-1] and new[0] == -1:
            if new[-1] != -1:
                call.net.width(call.path, "newshape", flow.ids, len(shape) - 1)
            return [Flow(shape, len(shape) - 1, flow.ids)]
    raise call.unknown("reshapes the axis of the batch")


def _reshaped(call: Call, key: str, first: int) -> list[Flow]:
    shape = call.shapes[0]
    result = _refocused(call, _numbers(call, call.one(), shape[1:]), shape)
    written(call, key, result, result.axis - first)
    return [result]


def written(call: Call, key: str, flow: Flow, axis: int) -> None:
    """A size in an operation's settings goes with the units, unless it is read from the tensor each time."""
    size = getattr(call.layer, key)[axis]
    if size != -1 and type(size).__name__ != "Size":  # see `tracing.Size`
        call.net.width(call.path, key, flow.ids, axis)


def broadcast_to(call: Call) -> list[Flow]:
    """More axes in front, and longer ones: every channel by itself, unless their axis gets longer."""
    flow, shape = call.one(), call.shapes[0]
    axis = flow.axis + len(shape) - flow.rank
    if not len(flow.ids) or flow.shape[flow.axis] != shape[axis]:
        call.net.pin(flow.ids, f"'{call.name}' repeats them")
        return [fixed(call, shape)]
    result = Flow(shape, axis, flow.ids, flow.alike)
    written(call, "shape", result, axis)
    return [result]


def cut(call: Call) -> list[Flow]:
    """`ops.slice`: every channel by itself where all of them are taken."""
    flow, shape = call.one(), call.shapes[0]
    start = call.given("start_indices", 1)
    first = start[flow.axis] if isinstance(start, list | tuple) else None
    if not isinstance(first, int) or first or flow.shape[flow.axis] != shape[flow.axis] or not len(flow.ids):
        call.net.pin(flow.ids, f"'{call.name}' takes some of them")
        return [fixed(call, shape)]
    result = Flow(shape, flow.axis, flow.ids, flow.alike)
    written(call, "shape", result, flow.axis)
    return [result]


def tile(call: Call) -> list[Flow]:
    """Repeated along other axes: every channel by itself."""
    flow, shape = call.one(), call.shapes[0]
    repeats = call.layer.repeats
    repeats = [repeats] if isinstance(repeats, int) else list(repeats)
    axis = flow.axis + len(shape) - flow.rank
    if repeats[axis - len(shape)] != 1 if len(repeats) >= len(shape) - axis else False:
        call.net.pin(flow.ids, f"'{call.name}' repeats them")
        return [fixed(call, shape)]
    return [Flow(shape, axis, flow.ids, flow.alike)]


def along_others(call: Call) -> list[Flow]:
    """`ops.pad`, `ops.repeat`, `ops.roll`: every channel by itself, unless it goes along their axis."""
    flow, shape = call.one(), call.shapes[0]
    if type(call.layer).__name__ == "Pad":
        widths = call.layer.pad_width
        moved = len(widths) == flow.rank and tuple(widths[flow.axis]) != (0, 0)
    else:
        moved = call.layer.axis is None or call.layer.axis % flow.rank == flow.axis
    if moved or len(shape) != flow.rank:
        call.net.pin(flow.ids, f"'{call.name}' changes their axis")
        return [fixed(call, shape)]
    return [Flow(shape, flow.axis, flow.ids, flow.alike)]


def unstack(call: Call) -> list[Flow]:
    """Apart along an axis, which goes."""
    flow = call.one()
    axis = call.layer.axis % flow.rank
    if axis == flow.axis or not axis:
        call.net.pin(flow.ids, f"'{call.name}' takes them apart")
        return [Flow(shape, max(len(shape) - 1, 0), fixed(call, shape).ids) for shape in call.shapes]
    return [Flow(shape, flow.axis - (axis < flow.axis), flow.ids, flow.alike) for shape in call.shapes]


@rule("Permute")
def permute(call: Call) -> list[Flow]:
    """Axes in another order."""
    return _transposed(call, [0, *call.layer.dims])


def transpose(call: Call) -> list[Flow]:
    """`ops.transpose`: the batch has to stay first."""
    return _transposed(call, list(call.layer.axes or range(call.one().rank)[::-1]))


def swapaxes(call: Call) -> list[Flow]:
    """Two axes change places."""
    rank = call.one().rank
    order = list(range(rank))
    one, two = call.layer.axis1 % rank, call.layer.axis2 % rank
    order[one], order[two] = order[two], order[one]
    return _transposed(call, order)


def moveaxis(call: Call) -> list[Flow]:
    """Axes to other places."""
    labelled = np.empty(tuple(range(1, call.one().rank + 1)))  # an axis is known by its length
    order = np.moveaxis(labelled, call.layer.source, call.layer.destination).shape
    return _transposed(call, [size - 1 for size in order])


def _transposed(call: Call, order: list[int]) -> list[Flow]:
    flow = call.one()
    order = [axis % flow.rank for axis in order]
    if order[0] != 0 and not isinstance(flow, Weight):
        raise call.unknown("moves the axis of the batch")
    return [Flow(call.shapes[0], order.index(flow.axis), flow.ids, flow.alike)]


@rule("RepeatVector")
def repeat_vector(call: Call) -> list[Flow]:
    """(batch, channels) to (batch, times, channels)."""
    return [Flow(call.shapes[0], 2, call.channels(call.one(), 1))]


def expand_dims(call: Call) -> list[Flow]:
    """A new axis of one value."""
    flow, axes = call.one(), call.layer.axis
    axis, shape = flow.axis, call.shapes[0]
    for new in sorted(a % len(shape) for a in (axes if isinstance(axes, list | tuple) else [axes])):
        axis += new <= axis
    if flow.rank < 2:  # (batch,) to (batch, 1): a channel that nobody makes
        return [fixed(call, shape)]
    return [Flow(shape, axis, flow.ids, flow.alike)]


def squeeze(call: Call) -> list[Flow]:
    """Axes of one value go."""
    flow, axes, shape = call.one(), call.layer.axis, call.shapes[0]
    sizes = range(1, flow.rank)
    removed = [a for a in sizes if flow.shape[a] == 1] if axes is None else axes
    removed = [a % flow.rank for a in (removed if isinstance(removed, list | tuple) else [removed])]
    if flow.axis not in removed:
        return [Flow(shape, flow.axis - sum(a < flow.axis for a in removed), flow.ids, flow.alike)]
    call.net.pin(flow.ids, f"'{call.name}' takes their axis away")
    return [fixed(call, shape)]


def stack(call: Call) -> list[Flow]:
    """Side by side on a new axis: the same channels of all go together."""
    flows, shape = call.all(), call.shapes[0]
    axis, new = flows[0].axis, call.layer.axis % len(shape)
    if len({flow.axis for flow in flows}) > 1 or not new:
        raise call.unknown("puts together tensors whose channels are on different axes")
    for flow in flows[1:]:
        call.net.tie(flows[0].ids, flow.ids)
    return [Flow(shape, axis + (new <= axis), flows[0].ids)]


def split(call: Call) -> list[Flow]:
    """Parts of one tensor: equal parts of the channels lose the same units, unequal ones none."""
    flow, sections = call.one(), call.layer.indices_or_sections
    if call.layer.axis % flow.rank != flow.axis:
        return [Flow(shape, flow.axis, flow.ids) for shape in call.shapes]
    if not isinstance(sections, int):
        call.net.pin(flow.ids, f"'{call.name}' splits them at fixed places")
        sections = [int(place) for place in sections]
    parts = np.split(call.channels(flow, flow.axis), sections)
    if isinstance(sections, int):
        for part in parts[1:]:
            call.net.tie(parts[0], part)
    return [Flow(shape, flow.axis, part) for shape, part in zip(call.shapes, parts, strict=True)]


def get_item(call: Call) -> list[Flow]:
    """`x[:, -1]`, `x[..., 0]`: channels pass where all of them are taken, and stay where some are."""
    flow = call.one()
    key = call.given("key", 1)
    keys = list(key) if isinstance(key, list | tuple) else [key]
    if not all(part is None or part is Ellipsis or isinstance(part, int | slice) for part in keys):
        raise call.unknown("takes what only shows when it runs")
    taken = sum(part is not None and part is not Ellipsis for part in keys)
    at = keys.index(Ellipsis) if Ellipsis in keys else len(keys)
    keys = [*keys[:at], *[slice(None)] * (flow.rank - taken), *keys[at + 1 :]]
    places = [n for n, part in enumerate(keys) if part is not None]  # of the tensor's axes
    if keys[places[flow.axis]] == slice(None) and len(flow.ids):
        axis = sum(not isinstance(part, int) for part in keys[: places[flow.axis]])
        return [Flow(call.shapes[0], axis, flow.ids, flow.alike)]
    call.net.pin(flow.ids, f"'{call.name}' takes some of them")
    return [fixed(call, call.shapes[0])]


def joined(call: Call) -> list[Flow]:
    """`ops.concatenate`."""
    if len(flows_in(call.args[0])) != len(call.args[0]):
        raise call.unknown("puts a fixed array beside tensors")
    return concatenate(call)


OPERATIONS: dict[str, Rule] = {
    "Reshape": reshape_all, "Transpose": transpose, "Swapaxes": swapaxes, "Moveaxis": moveaxis,
    "ExpandDims": expand_dims, "Squeeze": squeeze, "Stack": stack, "Split": split, "GetItem": get_item,
    "Concatenate": joined, "BroadcastTo": broadcast_to, "Slice": cut, "Tile": tile, "Unstack": unstack,
    **dict.fromkeys(("Pad", "Repeat", "Roll"), along_others),
}  # fmt: skip


def _numbers(call: Call, flow: Flow, new: Shape) -> Ids:
    """The channel behind every value of one example, in the shape `new`, where an axis of no fixed size has as many
    values as the least example that fills it."""
    if not len(flow.ids):
        raise call.unknown("reshapes an axis of no fixed size")
    sizes = [1 if size is None else size for size in flow.shape[1:]]
    loose = [axis for axis, size in enumerate(flow.shape[1:]) if size is None]
    if loose:
        if loose[-1] + 1 > flow.axis:
            raise call.unknown("reshapes an axis of no fixed size that comes after the units")
        whole = math.prod(size for size in new if size is not None)
        sizes[loose[0]] = whole // math.gcd(whole, math.prod(sizes))
    if math.prod(sizes) > LARGEST:
        raise call.unknown("reshapes more values than can be followed")
    line = [-1 if axis == flow.axis else 1 for axis in range(1, flow.rank)]
    numbers = np.broadcast_to(flow.ids.reshape(line), sizes)
    if type(call.layer).__name__ == "Flatten":
        return numbers
    if new.count(None) > 1 or numbers.size % max(math.prod(s for s in new if s is not None), 1):
        raise call.unknown("reshapes an axis of no fixed size into another")
    return numbers.reshape([-1 if size is None else size for size in new])


def _refocused(call: Call, numbers: Ids, shape: Shape) -> Flow:
    """The axis along which the channels of `numbers` (one example) are now, from the last on."""
    for axis in range(numbers.ndim - 1, -1, -1):
        rows = np.moveaxis(numbers, axis, -1).reshape(-1, numbers.shape[axis])
        if shape[axis + 1] is not None and (rows == rows[0]).all():
            return Flow(shape, axis + 1, rows[0])
    if shape[-1] is None:
        raise call.unknown("reshapes units into an axis of no fixed size")
    rows = numbers.reshape(-1, numbers.shape[-1])
    for row in np.unique(rows, axis=0):
        call.net.tie(rows[0], row)
    return Flow(shape, len(shape) - 1, rows[0])
