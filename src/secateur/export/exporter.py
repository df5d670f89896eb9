"""The protocol of exporting a model family: its graphs, and how they are run once, calibrated and compared; and what is
exported: a model in memory, or one that is read from its files whenever something needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from ..base.progress import trim
from ..decode.session import Floats
from ..models.checkpoint import as_stored, shapes_only
from ..models.family import Config, Member, TextCodec
from ..models.network import Network
from ..weights.fetch import load_model
from .graph import ModelProto
from .layers import Weights
from .precision import Ranges


@dataclass(frozen=True)
class Observed:
    """The part of a network whose layers' inputs are recorded, and how it is run.

    Layers are named `prefix` and their name in `part`. `also` gives the name of a layer outside of it that reads the
    output of the module beside it. `skipped`: endings of the names of layers that are better quantised row by row.
    """

    part: nn.Module
    run: Callable[[Tensor], object]  # features (1, frames, inputs)
    prefix: str = ""
    also: tuple[str, nn.Module] | None = None
    skipped: tuple[str, ...] = ()


class ParityReport(Protocol):
    """How near an exported model is to its source: a dataclass."""

    @property
    def max_difference(self) -> float:
        """Of any logit or probability."""

    @property
    def agreement(self) -> float:
        """Share of the decisions that are equal."""


class Exporter(Protocol):
    """How one family is written as ONNX graphs; exporters have no state."""

    def graphs(
        self, config: Config, weights: Weights, precision: str, ranges: Ranges | None, nibbles: Sequence[str]
    ) -> Iterator[tuple[str, ModelProto]]:
        """The graphs one after the other: name of the file, and `onnx.ModelProto`. See `export.onnx.export_onnx`."""

    def check_runs(self, folder: Path, config: Config) -> None:
        """Run the graphs in `folder` once, on two short rows, the second padded.

        Raises:
            SecateurError: a value that is not finite.
        """

    def window(self, config: Config) -> tuple[int | None, bool]:
        """Samples that a pass holds at most, and whether every clip is padded to them."""

    def observed(self, model: Network) -> Observed:
        """What `export.calibration` records."""

    def smoothed(self, model: Network, features: Sequence[Floats]) -> Network:
        """A copy of `model` that computes the same and loses less accuracy in int8 (`export.smoothing`), or `model`
        itself."""

    def expected(self, model: Network, features: Sequence[Floats]) -> Any:
        """What `model` computes of features (frames, inputs) of some clips, for `compare`."""

    def compare(self, expected: object, folder: Path) -> ParityReport:
        """The exported graphs in `folder` beside what their source was `expected` to compute."""


exporter_of = Member[Exporter]("exporter").of  # of a model's config


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
