"""Write a model as ONNX graphs that stock onnxruntime runs, with everything that decoding needs."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..base.errors import SecateurError
from ..base.extras import require
from ..base.files import Json, read_json, sha256, write_bytes, write_json
from ..base.folders import replace_folder
from ..base.options import to_dict
from ..base.version import __version__
from ..models.family import TextCodec, family_of, write_config
from ..models.network import Network
from ..runtime.contents import CONFIG, CONTENTS, CTC_FILES, FILES, STREAM, Contents, FileRecord, read_contents
from .exporter import exporter_of
from .graph import ModelProto
from .precision import Ranges, check_precision

LARGEST = 2**31 - 1  # bytes a protobuf file can hold

Check = Callable[[Path], Json]


def export_onnx(
    model: Network, text: TextCodec, folder: str | Path, precision: str = "fp32",
    check: Check | None = None, trial: bool = True, ranges: Ranges | None = None, nibbles: Sequence[str] = (),
) -> Path:  # fmt: skip
    """Write the graphs, `config.json`, the text codec and `export.json` to `folder`.

    An encoder-decoder has the graphs `encoder.onnx` and `decoder.onnx` and the codec `tokenizer.json`, a CTC model
    `network.onnx` and `units.json`.

    Everything is written beside `folder`, checked and run once, and only then moved there: nothing is left behind
    when something fails.

    Args:
        precision: fp32; fp16 (weights stored in half, computed in fp32); int8 (stored as bytes; the
            decoder multiplies bytes too); int8-dynamic, int8-static (the encoder, or CTC network, multiplies bytes).
        check: called with the finished folder before it is moved; what it returns is kept as `parity` in
            `export.json`, what it raises cancels the export.
        trial: False leaves out ONNX's checker, the run and the checksums: for a temporary export that is only timed.
        ranges: what int8-static needs (see `secateur.export.calibration`).
        nibbles: patterns of the weights that an int8 of any kind stores in four bits.

    Raises:
        SecateurError: an unknown precision, a masked model, a folder that holds other files, graphs above 2 GiB.
    """
    check_precision(precision)
    if precision == "int8-static" and not ranges:
        raise SecateurError("int8-static needs calibration recordings: name training data with --calibrate")
    model.check_unmasked()
    weights = {name: value.detach().float().cpu().numpy() for name, value in model.state_dict().items()}
    config, exporter, text_file = model.config, exporter_of(model.config), family_of(model.config).text_file
    files = [CONFIG, text_file]
    with _replacing(Path(folder), text_file) as temporary:
        for name, graph in exporter.graphs(config, weights, precision, ranges, nibbles):
            write_bytes(temporary / name, serialised(graph, name, trial))
            files.insert(len(files) - 2, name)
        if trial:
            exporter.check_runs(temporary, config)
        text.write(temporary / text_file)
        write_config(temporary / CONFIG, config)
        records = {
            name: FileRecord((temporary / name).stat().st_size, sha256(temporary / name) if trial else "")
            for name in files
        }
        contents = Contents(precision, config.name, f"secateur {__version__}", records)
        write_json(temporary / CONTENTS, to_dict(contents))
        if check is not None:
            parity = check(temporary)  # it may keep thresholds beside the graphs
            write_json(temporary / CONTENTS, to_dict(replace(read_contents(temporary), parity=parity)))
    return Path(folder)


def serialised(model: ModelProto, name: str, checked: bool = True) -> bytes:
    """The file's bytes; if `checked`, ONNX's checker verifies the graph first."""
    if model.ByteSize() > LARGEST:
        raise SecateurError(f"{name}: {model.ByteSize() / 1e9:.1f} GB, and one file holds 2: choose fp16 or int8")
    if checked:
        require("onnx.checker", "train").check_model(model)
    return bytes(model.SerializeToString())


@contextlib.contextmanager
def _replacing(folder: Path, text_file: str) -> Iterator[Path]:
    """A temporary folder that becomes `folder` when the block ends without an error.

    An earlier export in `folder` is replaced; a folder with anything else in it is refused.
    """
    if folder.exists():
        listed = read_json(folder / CONTENTS).get("files", {}) if (folder / CONTENTS).is_file() else {}
        expected = {*FILES, *CTC_FILES, STREAM, CONTENTS, text_file, *listed}
        foreign = [] if not folder.is_dir() else sorted({p.name for p in folder.iterdir()} - expected)
        if not folder.is_dir() or foreign:
            reason = f"holds other files ({', '.join(foreign[:3])})" if foreign else "is a file"
            raise SecateurError(f"{folder}: {reason}; export to a new folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".tmp"))
    except OSError as problem:
        raise SecateurError(f"{folder}: cannot write here ({problem.strerror or problem})") from problem
    try:
        yield temporary
        temporary.chmod(0o755)
        replace_folder(temporary, folder)
    except OSError as problem:
        raise SecateurError(f"{folder}: writing failed ({problem.strerror or problem})") from problem
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
