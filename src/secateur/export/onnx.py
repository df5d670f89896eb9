"""Write a model as ONNX graphs that stock onnxruntime runs, with all that is needed to decode with them."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..base.errors import SecateurError
from ..base.extras import require
from ..base.files import sha256, write_bytes, write_json
from ..base.folders import put_in_place
from ..base.options import to_dict
from ..families.ctc.graph import ctc_graph
from ..families.ctc.graph_stream import ctc_stream_graph
from ..families.moonshine import graph as moonshine
from ..families.parakeet.graph import parakeet_graph
from ..families.seq2seq.network import TokenRecogniser
from ..families.transformers_ctc.graph import hf_ctc_graph
from ..families.whisper import graph as whisper
from ..models.family import TextCodec, write_config
from ..models.network import FrameRecogniser
from ..runtime.contents import (
    CONFIG,
    CONTENTS,
    CTC_FILES,
    DECODER,
    ENCODER,
    FILES,
    NETWORK,
    STREAM,
    TOKENIZER,
    UNITS,
    Contents,
    FileRecord,
    features_name,
)
from .precision import Ranges, check_precision

FRAME_GRAPHS: dict[str, Callable[..., Any]] = {
    "ctc": ctc_graph, "hf_ctc": hf_ctc_graph, "parakeet": parakeet_graph
}  # fmt: skip
LARGEST = 2**31 - 1  # bytes a protobuf file can hold

Check = Callable[[Path], dict[str, Any]]


def export_onnx(
    model: TokenRecogniser | FrameRecogniser, text: TextCodec, folder: str | Path, precision: str = "fp32",
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
        trial: False leaves out ONNX's checker, the run and the checksums: for a folder that is timed and thrown away.
        ranges: what int8-static needs (see `secateur.export.calibration`).
        nibbles: patterns of the weights that an int8 of any kind stores in four bits.

    Raises:
        SecateurError: an unknown precision, a masked model, a folder that holds other files, graphs above 2 GiB.
    """
    check_precision(precision)
    if precision == "int8-static" and not ranges:
        raise SecateurError("int8-static needs what the layers read on some recordings: name them with --calibrate")
    if isinstance(model, TokenRecogniser) and model.decoder.vocabulary_mask is not None:
        raise SecateurError("vocabulary rows are masked, not removed: shrink the model before exporting it")
    weights = {name: value.detach().float().cpu().numpy() for name, value in model.state_dict().items()}
    config = model.config
    files: tuple[str, ...]
    with _replacing(Path(folder)) as temporary:
        if isinstance(model, FrameRecogniser):
            files = CTC_FILES
            graph = FRAME_GRAPHS[config.family](config, weights, precision, ranges)
            write_bytes(temporary / NETWORK, serialised(graph, NETWORK, trial))
            if trial:
                _run_network_once(temporary, config.front_end.inputs, getattr(config, "least", 10))
            if getattr(config, "streaming", None) is not None:
                files = (*CTC_FILES, STREAM)
                write_bytes(temporary / STREAM, serialised(ctc_stream_graph(config, weights, precision), STREAM, trial))
            text.write(temporary / UNITS)
        else:
            files = FILES
            graphs_of: Any = moonshine if config.family == "moonshine" else whisper
            graphs = {
                ENCODER: graphs_of.encoder_graph(config, weights, precision, ranges, nibbles),
                DECODER: graphs_of.decoder_graph(config, weights, precision, nibbles),
            }
            for name, graph in graphs.items():
                write_bytes(temporary / name, serialised(graph, name, trial))
            if trial:
                _run_once(temporary, config)
            text.write(temporary / TOKENIZER)
        write_config(temporary / CONFIG, config)
        records = {
            name: FileRecord((temporary / name).stat().st_size, sha256(temporary / name) if trial else "")
            for name in files
        }
        contents = Contents(precision, config.name, f"secateur {__version__}", records)
        write_json(temporary / CONTENTS, to_dict(contents))
        if check is not None:
            contents = Contents(precision, config.name, contents.made_by, records, check(temporary))
            write_json(temporary / CONTENTS, to_dict(contents))
    return Path(folder)


def serialised(model: Any, name: str, checked: bool = True) -> bytes:
    """The file's bytes; when `checked`, after ONNX's own checker has passed the graph."""
    if model.ByteSize() > LARGEST:
        raise SecateurError(f"{name}: {model.ByteSize() / 1e9:.1f} GB, and one file holds 2: choose fp16 or int8")
    if checked:
        require("onnx.checker", "train").check_model(model)
    return bytes(model.SerializeToString())


def _run_once(folder: Path, config: Any) -> None:
    """Run encoder and decoder on two short rows, the second padded, and check that all values are finite."""
    import onnxruntime

    encoder = onnxruntime.InferenceSession(folder / ENCODER, providers=["CPUExecutionProvider"])
    decoder = onnxruntime.InferenceSession(folder / DECODER, providers=["CPUExecutionProvider"])
    length = max(config.front_end.sample_rate // config.front_end.hop // 5, 20)
    features = np.random.default_rng(0).standard_normal((2, length, config.front_end.inputs), np.float32)
    names = [output.name for output in encoder.get_outputs()]
    inputs = {features_name(config): features, "frames": np.array([length, length // 2])}
    feed = dict(zip(names, encoder.run(None, inputs), strict=True))
    for value in decoder.get_inputs():
        if value.name.startswith("past_"):
            _, heads, _, size = value.shape
            feed[value.name] = np.zeros((2, heads, 0, size), np.float32)
    _check_finite(decoder.run(None, {"tokens": np.array([[0, 1], [1, 0]]), **feed}))


def _run_network_once(folder: Path, inputs: int, least: int) -> None:
    """Run a CTC network on two short rows, the second padded and below `least` frames: all is finite."""
    import onnxruntime

    network = onnxruntime.InferenceSession(folder / NETWORK, providers=["CPUExecutionProvider"])
    features = np.random.default_rng(0).standard_normal((2, 2 * least, inputs), np.float32)
    _check_finite(network.run(None, {"features": features, "frames": np.array([2 * least, least - 1])}))


def _check_finite(results: Sequence[Any]) -> None:
    if not all(np.isfinite(result).all() for result in results):
        raise SecateurError("the exported graph gives values that are not finite; is the model itself whole?")


@contextlib.contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A temporary folder that becomes `folder` when the block ends without an error.

    An earlier export in `folder` is replaced; a folder with anything else in it is refused.
    """
    if folder.exists():
        own = {*FILES, *CTC_FILES, STREAM, CONTENTS}
        foreign = [] if not folder.is_dir() else sorted({p.name for p in folder.iterdir()} - own)
        if not folder.is_dir() or foreign:
            what = f"holds other files ({', '.join(foreign[:3])})" if foreign else "is a file"
            raise SecateurError(f"{folder}: {what}; export to a new folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".tmp"))
    except OSError as problem:
        raise SecateurError(f"{folder}: cannot write here ({problem.strerror or problem})") from problem
    try:
        yield temporary
        temporary.chmod(0o755)
        put_in_place(temporary, folder)
    except OSError as problem:
        raise SecateurError(f"{folder}: writing failed ({problem.strerror or problem})") from problem
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
