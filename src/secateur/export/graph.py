"""A small writer for ONNX graphs: nodes and weights in the order they are added, names made on the way."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.extras import require
from .spool import open_spool

OPSET = 20  # Gelu as one operator
FUSED = "com.microsoft"  # operators of every stock onnxruntime that are not in the ONNX standard
FARTHEST = np.iinfo(np.int64).max  # the end of a slice that goes to the end

Array = NDArray[Any]
ModelProto = Any  # onnx.ModelProto, whose package has no types


class OnnxGraph:
    """Builds one ONNX graph. Tensors are named by strings; methods return the name of what they add."""

    def __init__(self, name: str, nibbles: Sequence[str] = ()) -> None:
        self.name = name
        self._nibbles = tuple(nibbles)  # name patterns of the weights to store in four bits
        self._helper = require("onnx.helper", "train")
        spool = open_spool()
        self._stored = require("onnx.numpy_helper", "train").from_array if spool is None else spool.add
        self._nodes: list[Any] = []
        self._weights: dict[str, Any] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._renamed: dict[str, str] = {}  # tensors that are outputs, by the outputs' names

    def in_nibbles(self, name: str) -> bool:
        """Whether the weight `name`, or the first of several side by side, is to be stored in four bits."""
        return any(fnmatchcase(name.split("+")[0], pattern) for pattern in self._nibbles)

    def input(self, name: str, dtype: type[np.generic], shape: tuple[str | int, ...]) -> str:
        """A graph input; a text in `shape` names a dimension that may vary."""
        self._inputs.append(self._value(name, dtype, shape))
        return name

    def output(self, source: str, name: str, dtype: type[np.generic], shape: tuple[str | int, ...]) -> None:
        """Make the tensor `source` the graph output `name`."""
        is_output = any(source in node.output for node in self._nodes)
        if is_output and source not in self._renamed:
            self._renamed[source] = name  # saves a copy in every run
        else:
            self._nodes.append(self._helper.make_node("Identity", [source], [name]))
        self._outputs.append(self._value(name, dtype, shape))

    def weight(self, name: str, values: Array) -> str:
        """Store `values` once under `name`."""
        if name not in self._weights:
            self._weights[name] = self._stored(np.ascontiguousarray(values), name)
        return name

    def constant(self, value: object, dtype: type[np.generic] = np.int64) -> str:
        """A small constant; equal ones are stored once."""
        values = np.asarray(value, dtype)
        return self.weight(f"{values.dtype.name}{list(values.shape)}{values.ravel().tolist()}".replace(" ", ""), values)

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: object) -> str:
        """A node with one output; an empty input is one that is left out."""
        return self.add_many(1, operator, *inputs, domain=domain, **attributes)[0]

    def add_many(self, count: int, operator: str, *inputs: str, domain: str = "", **attributes: object) -> list[str]:
        """A node with `count` outputs."""
        name = f"{operator}_{len(self._nodes)}"
        outputs = [name] if count == 1 else [f"{name}_{i}" for i in range(count)]
        node = self._helper.make_node(operator, list(inputs), outputs, name=name, domain=domain, **attributes)
        self._nodes.append(node)
        return outputs

    def size(self, x: str, axis: int) -> str:
        """The length of `x` along `axis`, as a tensor of shape (1,)."""
        return self.add("Shape", x, start=axis, end=axis + 1)

    def count(self, length: str) -> str:
        """0, 1, ... up to `length` (1,), as int64."""
        scalar = self.add("Squeeze", length, self.constant([0]))
        return self.add("Range", self.constant(0), scalar, self.constant(1))

    def slice(self, x: str, start: str, end: str, axis: int, step: int = 1) -> str:
        """Part of `x` along `axis`; `start` and `end` are tensors of shape (1,)."""
        return self.add("Slice", x, start, end, self.constant([axis]), self.constant([step]))

    def model(self, metadata: dict[str, str]) -> ModelProto:
        """The finished `onnx.ModelProto`."""
        for node in self._nodes:
            for names in (node.input, node.output):
                for i, name in enumerate(names):
                    names[i] = self._renamed.get(name, name)
        graph = self._helper.make_graph(
            self._nodes, self.name, self._inputs, self._outputs, initializer=list(self._weights.values())
        )
        opsets = [self._helper.make_opsetid("", OPSET), self._helper.make_opsetid(FUSED, 1)]
        model = self._helper.make_model(graph, opset_imports=opsets, producer_name="secateur")
        model.ir_version = 9  # that of opset 20; older runtimes refuse newer ones
        self._helper.set_model_props(model, metadata)
        return model

    def _value(self, name: str, dtype: type[np.generic], shape: tuple[str | int, ...]) -> Any:
        return self._helper.make_tensor_value_info(name, self._helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
