"""What is exported: a model in memory, or one that is read from its files whenever something needs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..base.memory import trim
from ..models.checkpoint import as_stored, shapes_only
from ..models.family import Config, TextCodec
from ..models.network import Network
from ..weights.fetch import load_model


@dataclass(frozen=True)
class Source:
    """The model that is exported and its text codec. `read` gives it, ready to run.

    A large model and its export do not fit in memory together. One that was read from files (`of_files`) is there only
    while it is written or computes what the export is compared with.
    """

    config: Config
    text: TextCodec
    read: Callable[[], Network]

    @classmethod
    def of_model(cls, model: Network, text: TextCodec) -> Source:
        """A model that is in memory anyway."""
        return cls(model.config, text, lambda: model)

    @classmethod
    def of_files(cls, name: str) -> Source:
        """A checkpoint by its folder or name.

        Raises:
            SecateurError: see `weights.fetch.load_model`.
        """
        with shapes_only():
            model, text = load_model(name)
        return cls(model.config, text, lambda: load_model(name)[0])

    def for_writing(self) -> Network:
        """The model with the types of its files, which cannot run: what writers of other formats need."""
        with as_stored():
            return self.read()


def release() -> None:
    """Hand the memory of what was just dropped back to the system, before the next large thing is read."""
    import gc

    gc.collect()
    trim()
