"""The weights of a network as exported graphs take them: float32, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from ..models.network import Network
from .graph import Array


class FloatWeights(Mapping[str, Array]):
    """The weights of a network by name as float32, each converted when it is asked for."""

    def __init__(self, model: Network) -> None:
        self._state: dict[str, Tensor] = dict(model.state_dict())

    def __getitem__(self, name: str) -> Array:
        values: Array = self._state[name].detach().float().cpu().numpy()
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self._state)

    def count(self) -> int:
        """How many numbers there are in all of them."""
        return sum(value.numel() for value in self._state.values())

    def __len__(self) -> int:
        return len(self._state)
