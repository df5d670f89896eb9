"""What is in an exported folder, and how to tell a whole one from a torn or foreign one (no torch, no onnx here)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..base.errors import SecateurError
from ..base.files import Json, read_json
from ..base.options import from_dict
from ..decode.generation import Generation
from ..decode.session import TokenConfig

FORMAT = 1
ENCODER, DECODER, CONFIG, TOKENIZER = "encoder.onnx", "decoder.onnx", "config.json", "tokenizer.json"
CONTENTS = "export.json"
FILES = (ENCODER, DECODER, CONFIG, TOKENIZER)  # of an encoder-decoder
NETWORK, UNITS = "network.onnx", "units.json"
CTC_FILES = (NETWORK, CONFIG, UNITS)  # of a CTC model
STREAM = "stream.onnx"  # and of one that decodes chunk by chunk, whose inputs and outputs are, beside features:
DATA = ".data"  # after a graph's name: the file beside it with its weights, where they are too large to be inside
FRAMES_BEFORE = "heard"  # frames of the output before this chunk
PAST, NEXT = "past.", "next."  # prefixes of the states' inputs and outputs


@dataclass(frozen=True)
class FileRecord:
    """Size and checksum of one file."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Contents:
    """`export.json`: how the folder was made and what is in it."""

    precision: str
    source: str  # name of the exported model
    made_by: str  # secateur and its version
    files: dict[str, FileRecord]
    parity: Json = field(default_factory=dict)  # against the source, as measured after the export
    format: int = FORMAT
    generation: Generation = field(default_factory=Generation)  # what decoding must know of the model

    @property
    def bytes(self) -> int:
        """Size of all files together."""
        return sum(record.bytes for record in self.files.values())


def is_export(folder: Path) -> bool:
    """Whether a folder holds an exported model, whole or not, rather than a checkpoint."""
    return (folder / CONTENTS).exists() or any(folder.glob("*.onnx"))


def features_name(config: TokenConfig) -> str:
    """The name of the encoder graph's input: mel, or audio where its features are the samples."""
    return "audio" if config.front_end.by_sample else "mel"


def read_contents(folder: str | Path) -> Contents:
    """The record of an exported folder, after comparing every file's size with it.

    Raises:
        SecateurError: not an exported folder, another format version, a missing or truncated file.
    """
    folder = Path(folder)
    path = folder / CONTENTS
    if not folder.is_dir():
        raise SecateurError(f"{folder}: no such model folder")
    if not path.is_file():
        raise SecateurError(f"{folder}: not an exported model ({CONTENTS} is missing); make one with `secateur export`")
    values = read_json(path)
    version = values.get("format") if isinstance(values, dict) else None
    if version != FORMAT:
        raise SecateurError(
            f"{path}: export format {version} is not the format {FORMAT} that this version reads; export again"
        )
    contents = from_dict(Contents, values, str(path))
    needed = CTC_FILES if NETWORK in contents.files else FILES if {ENCODER, DECODER} & {*contents.files} else (CONFIG,)
    for name in needed:
        if name not in contents.files:
            raise SecateurError(f"{path}: '{name}' is not listed; export the model again")
    for name, record in contents.files.items():
        file = folder / name
        if not file.is_file():
            raise SecateurError(f"{file}: no such file; the export is incomplete")
        size = file.stat().st_size
        if size != record.bytes:
            state = "truncated" if size < record.bytes else "another file than was exported"
            raise SecateurError(f"{file}: {state} ({size} bytes instead of {record.bytes}); copy or export it again")
    return contents
