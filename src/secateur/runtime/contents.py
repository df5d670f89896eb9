"""Which folder a model's name means; what is in an exported one, and how to tell a whole one from a torn one.

No torch, no onnx here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from ..base.errors import SecateurError, nearest
from ..base.files import Json, read_json
from ..base.options import from_dict
from ..decode.generation import Generation
from ..decode.session import TokenConfig
from ..weights.named import refuse_absent, refuse_written_only

BUNDLED = Path(__file__).parent / "bundled"
BEST_FIRST = ("exported/pruned", "pruned", "exported", "adapted", "dense")  # of a run folder


def model_in(folder: Path) -> Path:
    """A model's folder, or the model of a run folder (`adapt`, `prune`): what was exported before what it came from.

    Raises:
        SecateurError: a folder with several models of which none is the run's outcome; the message lists them.
    """
    if (folder / "config.json").exists():
        return folder
    best = next((folder / name for name in BEST_FIRST if (folder / name / "config.json").exists()), None)
    if best is not None:
        return best
    inside = sorted(file.parent.relative_to(folder).as_posix() for file in folder.glob("*/config.json"))
    if len(inside) == 1:
        return folder / inside[0]
    if inside:
        some = ", ".join(inside[:8])
        raise SecateurError(f"{folder}: several models ({some}); name one, such as {folder / inside[0]}")
    return folder


def find_model(model: str | Path | None) -> Path:
    """The folder of a model given by path, bundled name or, with torch, a name such as base, or owner/name; None: the
    first bundled one.

    Raises:
        SecateurError: there is none.
    """
    if model is not None and Path(model).is_dir():
        return model_in(Path(model))
    folders = {file.parent.name: file.parent for file in sorted(BUNDLED.glob("**/config.json"))}
    if model is None:
        if not folders:
            raise SecateurError("no model is bundled with this installation: name a model folder with --model FOLDER")
        return next(iter(folders.values()))
    if str(model) not in folders:
        if find_spec("torch") is not None:
            from ..weights.fetch import REPOSITORY, fetch
            from ..weights.named import known_models

            if str(model) in known_models() or REPOSITORY.fullmatch(str(model)):
                return fetch(str(model))
        refuse_written_only(Path(model))
        refuse_absent(Path(model))
        known = f"; bundled: {', '.join(folders)}" if folders else ""
        raise SecateurError(f"{model}: no such model folder{nearest(str(model), folders)}{known}")
    return folders[str(model)]


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
        refuse_written_only(folder)
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
