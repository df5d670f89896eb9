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
from ..base.files import Json, read_json, replace_folder, sha256, write_json
from ..base.options import to_dict
from ..base.version import __version__
from ..models.family import TextCodec, family_of, write_config
from ..models.network import Network
from ..runtime.contents import (
    CONFIG,
    CONTENTS,
    CTC_FILES,
    DATA,
    FILES,
    STREAM,
    Contents,
    FileRecord,
    read_contents,
)
from .exporter import Source, exporter_of, release
from .graph import ModelProto
from .layers import FloatWeights
from .precision import Ranges, check_precision
from .spool import SPOOL, refer_to, spooling, stored_bytes, write_inside

INSIDE = 1 << 30  # bytes of a graph whose weights are inside its file; a protobuf holds 2 GiB, and is read at once

Check = Callable[[Path], Json]


def export_onnx(
    model: Network | Source, text: TextCodec, folder: str | Path, precision: str = "fp32",
    check: Check | None = None, trial: bool = True, ranges: Ranges | None = None, nibbles: Sequence[str] = (),
) -> Path:  # fmt: skip
    """Write the graphs, `config.json`, the text codec and `export.json` to `folder`.

    An encoder-decoder has the graphs `encoder.onnx` and `decoder.onnx` and the codec `tokenizer.json`, a CTC model
    `network.onnx` and `units.json`. The weights of a graph above `INSIDE` bytes are in a file beside it (ONNX's
    external data, `encoder.onnx.data`). Weights are written one after the other.

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
        SecateurError: an unknown precision, a masked model, a folder that holds other files.
    """
    check_precision(precision)
    if precision == "int8-static" and not ranges:
        raise SecateurError("int8-static needs calibration recordings: name training data with --calibrate")
    source = model if isinstance(model, Source) else Source.of_model(model, text)
    config, exporter, text_file = source.config, exporter_of(source.config), family_of(source.config).text_file
    files = [CONFIG, text_file]
    with _replacing(Path(folder), text_file) as temporary:
        for name in _write_graphs(temporary, source, precision, ranges, nibbles, trial):
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


def _write_graphs(
    folder: Path, source: Source, precision: str, ranges: Ranges | None, nibbles: Sequence[str], checked: bool
) -> list[str]:
    """Write the graphs one after the other; the names of the files."""
    model = source.for_writing()
    model.check_unmasked()
    graphs = exporter_of(source.config).graphs(source.config, FloatWeights(model), precision, ranges, nibbles)
    names: list[str] = []
    while True:
        with spooling(folder / SPOOL) as spool:
            built = next(graphs, None)
        if built is None:
            spool.path.unlink()
            break
        names += write_graph(folder, *built, spool.path, INSIDE, checked)
    del model, graphs
    release()
    return names


def write_graph(folder: Path, name: str, model: ModelProto, spool: Path, most: int, checked: bool = True) -> list[str]:
    """Write a graph whose weights are in `spool` (see `spooling`) as `name`; above `most` bytes they stay in a file
    beside it. The names of what was written.

    If `checked`, ONNX's checker verifies the graph first.
    """
    beside = folder / f"{name}{DATA}"
    spool.replace(beside)
    refer_to(model, beside.name)
    (folder / name).write_bytes(model.SerializeToString())
    if checked:
        require("onnx.checker", "train").check_model(str(folder / name))
    if stored_bytes(model) > most:
        return [name, beside.name]
    write_inside(model, beside, folder / name)
    beside.unlink()
    return [name]


@contextlib.contextmanager
def _replacing(folder: Path, text_file: str) -> Iterator[Path]:
    """A temporary folder that becomes `folder` when the block ends without an error.

    An earlier export in `folder` is replaced; a folder with anything else in it is refused.
    """
    if folder.exists():
        listed = read_json(folder / CONTENTS).get("files", {}) if (folder / CONTENTS).is_file() else {}
        graphs = (*FILES, *CTC_FILES, STREAM)
        expected = {*graphs, *(f"{name}{DATA}" for name in graphs), CONTENTS, text_file, *listed}
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
