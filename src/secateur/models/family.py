"""Model families: what the rest of the pipeline asks of any kind of recogniser (no torch here).

A family is a folder beside this file with `config.py` (the frozen dataclass that is the checkpoint), the network
(a `Recogniser`), its cost, and `family.py`, whose `FAMILY` joins them. Its name in `FAMILIES` is all that makes it
known to checkpoints, pruning, training and studies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from ..base.errors import SecateurError, nearest
from ..base.files import read_json, write_json
from ..base.options import from_dict, to_dict
from ..features.front_end import FrontEnd

if TYPE_CHECKING:
    from .network import Recogniser

FORMAT = 1
TOKEN_FAMILIES = ("whisper", "moonshine")  # encoder-decoders that write tokens
FAMILIES = ("whisper", "ctc", "hf_ctc", "parakeet", "moonshine")
FOLDERS = {"hf_ctc": "transformers_ctc"}  # where a family's folder has another name than its configs say


class Config(Protocol):
    """The frozen dataclass of a family: every width of every layer."""

    @property
    def family(self) -> str:
        """Its name in `FAMILIES`."""

    @property
    def name(self) -> str:
        """What this model is called."""

    @property
    def front_end(self) -> FrontEnd:
        """How a clip becomes features."""

    @property
    def max_seconds(self) -> float:
        """The longest clip, in seconds, that one pass can hold; infinite when nothing limits it."""

    def hearing(self, front_end: FrontEnd) -> Self:
        """The config with another front-end; contexts last as long as they did."""

    def shrunk(self, keep: dict[str, list[int]]) -> Self:
        """The config after surgery: `keep` maps names of groups to the units that stay."""


@runtime_checkable
class FrameConfig(Config, Protocol):
    """The config of a network that answers in every frame (CTC)."""

    @property
    def units(self) -> int:
        """Of the output; number 0 is the blank."""

    @property
    def subsampled(self) -> int:
        """Frames of features to one of the output."""


class TextCodec(Protocol):
    """Text to ids and back, stored beside the weights."""

    def encode(self, text: str) -> list[int]:
        """The ids of a text."""

    def decode(self, ids: list[int]) -> str:
        """The text of ids."""

    def write(self, path: Path) -> None:
        """Store it in one file."""


@dataclass(frozen=True)
class Family:
    """What a family gives to the rest of the pipeline. `parameters` and `macs` are counted on the config alone."""

    config: type
    network: Callable[[], type[Recogniser]]  # imports torch only when called
    parameters: Callable[[Any], int]  # all values that are stored
    # (config, seconds, tokens, padded) -> multiply-accumulates of one clip, both limited to what the model holds;
    # `padded` says whether clips are padded to the whole audio context (None: as the config says)
    macs: Callable[[Any, float, int, bool | None], int]
    # (config, seconds, tokens) -> the same, as the config says of padding, by part; what latency is predicted from
    parts: Callable[[Any, float, int], dict[str, int]]
    text_file: str  # name of the text codec's file in a checkpoint
    read_text: Callable[[Path, Any], Any]  # (file, config) -> TextCodec
    weights: Callable[[Any], int] | None = None  # parameters without embeddings and positions, where there are any


def family_of(config: Config) -> Family:
    """The family that a config belongs to."""
    return family_named(config.family, "config")


def family_named(name: Any, where: str) -> Family:
    """The family `name`.

    Raises:
        SecateurError: no such family, with the nearest name.
    """
    if name not in FAMILIES:
        raise SecateurError(
            f"{where}: model family '{name}' is not known here{nearest(str(name), FAMILIES)} "
            f"(known: {', '.join(FAMILIES)})"
        )
    found: Family = import_module(f"secateur.families.{FOLDERS.get(name, name)}.family").FAMILY
    return found


def parse_config(values: Any, where: str) -> Any:
    """A config of any family from its JSON values.

    Raises:
        SecateurError: another format version, an unknown family or key (with the nearest), a wrong type.
    """
    if not isinstance(values, dict):
        raise SecateurError(f"{where}: a model's config is a table of keys, found {type(values).__name__}")
    if values.get("format", FORMAT) != FORMAT:
        raise SecateurError(
            f"{where}: model format {values['format']} is not the format {FORMAT} that this version reads; "
            "write it again with `secateur export` or install the matching version"
        )
    return from_dict(family_named(values.get("family", "whisper"), where).config, values, where)


def read_config(path: str | Path) -> Any:
    """The config in a JSON file, of any family.

    Raises:
        SecateurError: see `parse_config`.
    """
    return parse_config(read_json(path), str(path))


def write_config(path: str | Path, config: Any) -> None:
    """Write a config as JSON, atomically."""
    write_json(path, to_dict(config))
