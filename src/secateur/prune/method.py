"""What every way of pruning is: a training callback that masks while it trains and leaves a smaller network."""

from __future__ import annotations

from typing import Generic

from ..train.callback import Callback
from .shrink import Network


class Method(Callback, Generic[Network]):
    """Base of all methods. `model` is the network that is being trained; `project` holds what is gone at zero."""

    model: Network

    def shrunk(self) -> Network:
        """The network without what was removed: units physically, single weights as zeros."""
        raise NotImplementedError
