"""Recurrent layers: a unit goes with its part of every gate, its row of the recurrent kernel and its state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..channels import Flow
from .call import Call, flows_in, rule

if TYPE_CHECKING:
    from keras import Layer


def recurrent(gates: int, states: int) -> Callable[[Call], list[Flow]]:
    """Kernel (inputs, gates * units), recurrent kernel (units, gates * units), bias (gates * units,), gate after gate.

    LSTM: input, forget, cell, output. GRU: update, reset, candidate, with a bias (2, 3 * units) under `reset_after`.
    """

    def follow(call: Call) -> list[Flow]:
        layer, net, flow = call.layer, call.net, call.one()
        cell = layer.cell
        units = net.new(layer, call.path, cell.units, "unit")
        bind_cell(call, cell, call.channels(flow, -1), units, gates, (layer, 0))
        net.width((*call.path, "@cell") if type(layer).__name__ == "RNN" else call.path, "units", units)
        call.given("mask")  # of frames
        for state in flows_in(call.given("initial_state", 1)):
            net.tie(call.channels(state, -1), units)
        return outputs(layer, flow, units, states)

    return follow


def outputs(layer: Layer, flow: Flow, units: Any, states: int) -> list[Flow]:
    """What a recurrent layer gives: all frames or the last one, then its states."""
    batch = flow.shape[0]
    state = Flow((batch, len(units)), 1, units)
    result = [Flow((*flow.shape[:2], len(units)), 2, units) if layer.return_sequences else state]
    return result + [state] * (states if layer.return_state else 0)


rule("LSTM")(recurrent(gates=4, states=2))
rule("GRU")(recurrent(gates=3, states=1))
rule("SimpleRNN")(recurrent(gates=1, states=1))


@rule("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def convolutional(call: Call) -> list[Flow]:
    """Kernel (taps..., inputs, 4 * filters), recurrent kernel (taps..., filters, 4 * filters), gate after gate; the
    input is (batch, frames, ...)."""
    layer, net, flow = call.layer, call.net, call.one()
    cell, first = layer.cell, layer.cell.data_format == "channels_first"
    filters = net.new(layer, call.path, cell.filters, "conv")
    gated, last = np.tile(filters, 4), len(cell.kernel.shape) - 1
    read = call.channels(flow, 2 if first else -1)
    net.bind(cell.kernel, (last - 1, read), (last, gated), reads=[last - 1])
    net.bind(cell.recurrent_kernel, (last - 1, filters), (last, gated))
    net.bind(cell.bias, (0, gated))
    net.width(call.path, "filters", filters)
    call.activation(cell.activation, filters)
    call.activation(cell.recurrent_activation, filters)
    call.given("mask")
    for state in flows_in(call.given("initial_state", 1)):
        net.tie(call.channels(state, 1 if first else -1), filters)
    frames = [2 if layer.return_sequences and first else 1] if first else []
    axes = [*(frames or [len(call.shapes[0]) - 1]), *(1 if first else len(shape) - 1 for shape in call.shapes[1:])]
    return [Flow(shape, axis, filters) for shape, axis in zip(call.shapes, axes, strict=True)]


def stacked(call: Call) -> list[Flow]:
    """Cells on top of each other: each reads what the one below writes."""
    layer, net, flow = call.layer, call.net, call.one()
    if flows_in(call.given("initial_state", 1)):
        raise call.unknown("starts stacked cells from given states")
    call.given("mask")
    states: list[Flow] = []
    for number, cell in enumerate(layer.cell.cells):
        gates = GATES.get(type(cell).__name__) if type(cell).__module__.split(".")[0] == "keras" else None
        if gates is None:
            raise call.unknown(f"runs a {type(cell).__name__}, which no rule knows")
        units = net.new(cell, (*call.path, "@cell", f"@cells[{number}]"), cell.units, "unit", f".cells[{number}]")
        bind_cell(call, cell, call.channels(flow, -1), units, gates)
        net.width((*call.path, "@cell", f"@cells[{number}]"), "units", units)
        flow = Flow((*flow.shape[:-1], len(units)), flow.rank - 1, units)
        states += [Flow((flow.shape[0], len(units)), 1, units)] * (2 if gates == GATES["LSTMCell"] else 1)
    last = flow if layer.return_sequences else states[-1]
    return [last, *(states if layer.return_state else [])]


def bind_cell(call: Call, cell: Any, read: Any, units: Any, gates: int, reader: Any = None) -> None:
    """The variables of a cell, gate after gate."""
    net, gated = call.net, np.tile(units, gates)
    net.bind(cell.kernel, (0, read), (1, gated), reads=[0], reader=reader)
    net.bind(cell.recurrent_kernel, (0, units), (1, gated))
    if cell.bias is not None:
        net.bind(cell.bias, (len(cell.bias.shape) - 1, gated))
    call.activation(cell.activation, units)
    if gates > 1:
        call.activation(cell.recurrent_activation, units)


GATES = {"LSTMCell": 4, "GRUCell": 3, "SimpleRNNCell": 1}


@rule("RNN")
def of_a_cell(call: Call) -> list[Flow]:
    """A cell of Keras by itself; others may do anything."""
    cell = type(call.layer.cell)
    if cell.__name__ == "StackedRNNCells":
        return stacked(call)
    follow = RECURRENT.get(cell.__name__.removesuffix("Cell")) if cell.__name__ != "RNN" else None
    if follow is None or cell.__module__.split(".")[0] != "keras":
        raise call.unknown(f"runs a {cell.__name__}, which no rule knows")
    return follow(call)


@rule("Bidirectional")
def bidirectional(call: Call) -> list[Flow]:
    """Two layers side by side. Keras wants both equally wide, so both lose as many units."""
    layer, net, flow = call.layer, call.net, call.one()
    given = flows_in(call.given("initial_state", 1))
    half = len(given) // 2
    parts = []
    for key, inner, state in (
        ("@layer", layer.forward_layer, given[:half]),
        ("@backward_layer", layer.backward_layer, given[half:]),
    ):
        follow = RECURRENT.get(type(inner).__name__)
        if follow is None or type(inner).__module__.split(".")[0] != "keras":
            raise call.unknown(f"wraps a {type(inner).__name__}, which no rule knows")
        parts.append(follow(Call(inner, (*call.path, key), (flow,), {"initial_state": state}, (), net)))
    return joined(call, parts[0], parts[1])


def joined(call: Call, forward: Sequence[Flow], backward: Sequence[Flow]) -> list[Flow]:
    """The outputs of both directions as `merge_mode` puts them together, then all states."""
    net, mode = call.net, call.layer.merge_mode
    first, second = forward[0], backward[0]
    states = [*forward[1:], *backward[1:]]
    if mode in ("concat", None):
        net.equally(first.ids, second.ids)
        if mode is None:
            return [first, second, *states]
        ids = np.concatenate([first.ids, second.ids])
    else:  # sum, mul, ave: unit by unit
        net.tie(first.ids, second.ids)
        ids = first.ids
    return [Flow((*first.shape[:-1], len(ids)), first.axis, ids), *states]


RECURRENT = {"LSTM": recurrent(4, 2), "GRU": recurrent(3, 1), "SimpleRNN": recurrent(1, 1), "RNN": of_a_cell}
