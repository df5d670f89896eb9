"""Which channels of a Keras model are one unit: a ledger that the rules of layers write into.

Every channel that a layer makes gets a number. A tensor is a `Flow`: one of its axes has channels, and `ids` says which
number is behind each index. Layers that read channels `bind` a dimension of a variable to them; a residual addition
`tie`s two channels into one unit; what must not go is `pin`ned, with a reason that a person reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError

if TYPE_CHECKING:
    from keras import Layer, Variable

Ids = NDArray[np.intp]
Shape = tuple[int | None, ...]


def readable(path: Sequence[str]) -> str:
    """A layer's place in the model, for people and patterns: "encoder/conv1"; wrapped layers go by their wrapper.

    In a path, "@key" is a layer in another one's config, ".attribute" one that a layer of another class has, and
    "?name" what only that layer's code has.
    """
    return "/".join(part.lstrip(".?") for part in path if not part.startswith("@"))


class UnknownLayerError(SecateurError):
    """A layer that no rule can follow units through (`what` it does); masks work all the same."""

    def __init__(self, message: str, what: str) -> None:
        super().__init__(message)
        self.what = what


@dataclass(frozen=True, eq=False)
class Flow:
    """A tensor of `shape` (batch, ...) whose `axis` has the channels `ids`; none when that axis has no fixed size.

    The channels of `alike` tensors, such as masks, all have one value (each layer's, where they are side by side).
    """

    shape: Shape
    axis: int
    ids: Ids
    alike: bool = False

    @property
    def rank(self) -> int:
        """Dimensions, the batch included."""
        return len(self.shape)


@dataclass(frozen=True, eq=False)
class Weight(Flow):
    """A layer's own variable, as its `call` reads it; `axis` is its last."""

    variable: Any = None


@dataclass
class Use:
    """One variable: the channels along its dimensions."""

    variable: Variable
    dims: dict[int, Ids] = field(default_factory=dict)
    reads: set[int] = field(default_factory=set)  # dimensions that multiply what the layer reads
    masked: bool = True  # a mask zeroes it; statistics need none
    factor: bool = False  # what a unit gives is multiplied by it
    scaled: Ids | None = None  # multiplied by the root of the share of these that stays
    reader: tuple[Any, int] | None = None  # the layer, and which of its inputs the `reads` dimension multiplies


@dataclass(frozen=True)
class Declared:
    """Units that a layer makes."""

    layer: str
    name: str  # of the group: the layer's, and what is more than one in it
    kind: str
    ids: Ids


@dataclass(frozen=True)
class Edit:
    """A number in a layer's config that becomes how many of `ids` stay; `axis` is its place in a shape."""

    path: tuple[str, ...]
    key: str
    axis: int | None
    ids: Ids


class Channels:
    """The ledger. `names` are the model's variables by `id`; `learning`: units are masked while the model learns."""

    def __init__(self, names: dict[int, str], learning: bool = False) -> None:
        self.names, self.learning = names, learning
        self.parents: list[int] = []
        self.declared: dict[tuple[int, str], Declared] = {}
        self.pins: list[tuple[Ids, str]] = []
        self.staying: set[int] = set()  # roots of what is pinned
        self.uses: dict[str, Use] = {}
        self.edits: dict[tuple[tuple[str, ...], str, int | None], Edit] = {}
        self.pairs: list[tuple[Ids, Ids]] = []
        self.calls: list[str] = []  # of layers and operations, by name
        self.left: dict[str, str] = {}  # layers that are left whole, and why no rule follows them
        self.without_slope: list[Ids] = []  # of which no zero may be made while the model learns
        self.one_way: dict[int, bool] = {}  # reversible embeddings, by `id`: whether no call goes back to tokens
        self.own: dict[tuple[str, ...], tuple[Any, dict[str, Any]]] = {}  # layers of other classes, their parts
        self.misstated: dict[tuple[str, ...], Any] = {}  # layers that give other shapes than their classes state
        self.read: list[Any] = []  # variables that such layers read from layers that they hold

    def fresh(self, count: int | None) -> Ids:
        """So many channels that belong to nothing yet."""
        start = len(self.parents)
        self.parents += range(start, start + (count or 0))
        return np.arange(start, len(self.parents))

    def new(self, layer: Layer, path: tuple[str, ...], count: int, kind: str, suffix: str = "") -> Ids:
        """The units that a layer makes, the same at each of its calls."""
        key = (id(layer), suffix)
        if key not in self.declared:
            name = readable(path)
            self.declared[key] = Declared(name, name + suffix, kind, self.fresh(count))
        return self.declared[key].ids

    def whole(self, flow: Flow, shape: Shape, axis: int, why: str) -> Flow:
        """Another tensor, made from all of `flow`'s channels: those stay and so do the new ones."""
        self.pin(flow.ids, why)
        ids = self.fresh(shape[axis])
        self.pin(ids, why)
        return Flow(shape, axis, ids)

    def pin(self, ids: Ids, why: str) -> None:
        """These channels stay."""
        if len(ids):
            self.pins.append((ids, why))
            self.staying |= {self._root(channel) for channel in ids.tolist()}

    def stays(self, ids: Ids) -> bool:
        """Whether all of these are pinned already."""
        return all(self._root(channel) in self.staying for channel in ids.tolist())

    def tie(self, first: Ids, second: Ids) -> None:
        """`first[i]` and `second[i]` go together, as one unit."""
        for a, b in zip(first.tolist(), second.tolist(), strict=True):
            a, b = sorted((self._root(a), self._root(b)))
            self.parents[b] = a
            if b in self.staying:
                self.staying.add(a)

    def equally(self, first: Ids, second: Ids) -> None:
        """As many go of the one as of the other: two directions of a recurrent layer."""
        self.pairs.append((first, second))

    def bind(
        self, variable: Variable, *dims: tuple[int, Ids], reads: Iterable[int] = (), masked: bool = True,
        factor: bool = False, reader: tuple[Any, int] | None = None,
    ) -> Use | None:  # fmt: skip
        """Channels along dimensions of a variable (None: the layer has none); ties them to those of earlier calls."""
        if variable is None:
            return None
        use = self.uses.setdefault(self.names[id(variable)], Use(variable, masked=masked, factor=factor, reader=reader))
        use.reads |= set(reads)
        for dim, ids in dims:
            if len(ids) != variable.shape[dim]:
                raise SecateurError(f"{variable.path}: {variable.shape[dim]} along dimension {dim}, not {len(ids)}")
            if dim in use.dims:
                self.tie(use.dims[dim], ids)
            else:
                use.dims[dim] = ids
        return use

    def width(self, path: Sequence[str], key: str, ids: Ids, axis: int | None = None) -> None:
        """How many of `ids` stay is the number `key` in the layer's config; what is in no config stays."""
        if any(part.startswith("?") for part in path):
            self.pin(ids, f"'{readable(path)}' has their number in the code of its layer")
            return
        place = (tuple(path), key, axis)
        if place in self.edits:
            self.tie(self.edits[place].ids, ids)
        else:
            self.edits[place] = Edit(*place, ids)

    def roots(self) -> Ids:
        """The unit (by its lowest channel) of every channel."""
        parents = np.array(self.parents, np.intp)
        while True:
            above = parents[parents]
            if np.array_equal(above, parents):
                return parents
            parents = above

    def _root(self, channel: int) -> int:
        while self.parents[channel] != channel:
            self.parents[channel] = self.parents[self.parents[channel]]
            channel = self.parents[channel]
        return channel
