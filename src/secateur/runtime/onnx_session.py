"""An exported encoder-decoder as a decoding session: numpy and onnxruntime, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import SecateurError
from ..base.progress import out_of_memory, trim
from ..decode.session import Floats, Ints, TokenConfig
from ..models.family import read_config
from ..models.frame_merging import FRAMES, spread
from .contents import CONFIG, DECODER, ENCODER, features_name, read_contents
from .onnx_file import check_onnx

SPARE_ROWS = 8  # of one clip's keys and values that a search which widens is given at once
Arrays = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class OnnxState:
    """The decoder's state: key-value caches, as the decoder graph's own inputs.

    Attributes:
        audio: cross keys and values of every layer (batch, heads, positions, dim), and memory_mask (batch, positions).
        past: self keys and values of every layer (batch, heads, tokens so far, dim).
        clips: which encoded clip each batch row (batch,) belongs to.
    """

    audio: Arrays
    past: Arrays
    clips: Ints


class OnnxSession:
    """Runs the folder that `secateur.export.onnx.export_onnx` wrote, on the CPU.

    Args:
        folder: with encoder.onnx, decoder.onnx, config.json, tokenizer.json, export.json.
        threads: for each of the two graphs, which never run at the same time; None lets onnxruntime choose.

    Raises:
        SecateurError: a missing, truncated or foreign file, or one of another version.
    """

    def __init__(self, folder: str | Path, threads: int | None = None) -> None:
        folder = Path(folder)
        self.contents = read_contents(folder)
        self._config: TokenConfig = read_config(folder / CONFIG)
        self._features_name = features_name(self._config)
        self._encoder = load_graph(folder / ENCODER, threads, {self._features_name, "frames"})
        self._audio = [output.name for output in self._encoder.get_outputs()]
        self._empty = _empty_past(self._config)
        read = [name for name in self._audio if name != FRAMES]
        self._decoder = load_graph(folder / DECODER, threads, {"tokens", *read, *self._empty})
        outputs = [output.name for output in self._decoder.get_outputs()]
        self.shows_attention = "attention" in outputs  # exports of the first versions have none
        self._outputs = ["logits", *(name.removeprefix("past_") for name in self._empty)]
        if not set(self._outputs) <= set(outputs):
            raise SecateurError(f"{folder / DECODER}: not the graph that goes with this config.json; export it again")

    @property
    def config(self) -> TokenConfig:
        """The config that was exported with the graphs."""
        return self._config

    def encode(self, features: Floats, frames: Ints | None) -> OnnxState:
        """Encode features (batch, frames, inputs); `frames` (batch,) counts the real ones of each row, None: all.

        Raises:
            SecateurError: another number of inputs than the model reads, or more frames than it holds.
        """
        batch, length, inputs = features.shape
        if inputs != self._config.front_end.inputs:
            expected = self._config.front_end.inputs
            raise SecateurError(f"features have {inputs} values a frame, this model reads {expected}")
        most = self._config.window // self._config.front_end.hop
        if length > most:
            raise SecateurError(f"{length} frames are too long, this model holds {most}: cut the audio into windows")
        counts = np.full(batch, length, np.int64) if frames is None else np.asarray(frames, np.int64)
        outputs = self._encoder.run(
            None, {self._features_name: np.ascontiguousarray(features, np.float32), "frames": counts}
        )
        past = {name: np.zeros((batch, heads, 0, size), np.float32) for name, (heads, size) in self._empty.items()}
        return OnnxState(dict(zip(self._audio, outputs, strict=True)), past, np.arange(batch))

    def step(self, tokens: Ints, state: OnnxState) -> tuple[Floats, OnnxState]:
        """Feed `tokens` (batch, n); the logits (batch, vocabulary) of what follows the last, and the state after.

        Raises:
            SecateurError: the tokens do not fit the text context.
        """
        logits, *past = self._decoder.run(self._outputs, self._feed(tokens, state))
        return logits, OnnxState(state.audio, dict(zip(self._empty, past, strict=True)), state.clips)

    @property
    def graphs(self) -> tuple[LoadedGraph, ...]:
        """The encoder's and the decoder's graph."""
        return self._encoder, self._decoder

    def attention(self, tokens: Ints, state: OnnxState) -> Floats:
        """Feed `tokens` (batch, n); where each one's cross-attention looks: (batch, heads, n, positions).

        Raises:
            SecateurError: the tokens do not fit the text context, or an export of a version that left this out.
        """
        if not self.shows_attention:
            raise SecateurError("this model was exported without its attention, which word times need: export it again")
        weights: Floats = self._decoder.run(["attention"], self._feed(tokens, state))[0]
        return spread(weights, state.audio[FRAMES]) if FRAMES in state.audio else weights

    def _feed(self, tokens: Ints, state: OnnxState) -> Arrays:
        """The decoder's inputs: `tokens`, the encoded audio and the cache."""
        end = next(iter(state.past.values())).shape[2] + tokens.shape[1]
        if end > self._config.text_context:
            raise SecateurError(f"{end} tokens do not fit the text context of {self._config.text_context}")
        audio = {name: values for name, values in state.audio.items() if name != FRAMES}
        return {"tokens": np.ascontiguousarray(tokens, np.int64), **audio, **state.past}

    def pick(self, state: OnnxState, rows: Ints) -> OnnxState:
        """The state of the batch rows `rows` (k,)."""
        clips = state.clips[rows]
        # The audio's keys and values are by far the largest part. They stay as they are where beams trade places within
        # their clip; and where all rows are of one clip, fewer of them are a part of more.
        if np.array_equal(clips, state.clips):
            audio = state.audio
        elif len(rows) and (state.clips == state.clips[0]).all():
            audio = {name: _first(values, len(rows)) for name, values in state.audio.items()}
        else:
            audio = {name: values[rows] for name, values in state.audio.items()}
        return OnnxState(audio, {name: values[rows] for name, values in state.past.items()}, clips)


def _first(values: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """`count` rows of `values` (rows, ...), which are all equal; a view where there are, or once were, so many."""
    shared = (
        values.base if isinstance(values.base, np.ndarray) and values.base.shape[1:] == values.shape[1:] else values
    )
    return (shared if len(shared) >= count else np.repeat(values[:1], max(count, SPARE_ROWS), 0))[:count]


def _empty_past(config: TokenConfig) -> dict[str, tuple[int, int]]:
    """Heads and dimension of every cached tensor, by the name of the decoder's input."""
    sizes = {}
    for i, (heads, key, value) in enumerate(config.caches):
        sizes[f"past_keys_{i}"] = (heads, key)
        sizes[f"past_values_{i}"] = (heads, value)
    return sizes


def load_graph(path: Path, threads: int | None, inputs: set[str]) -> LoadedGraph:
    """A session for one graph, which must have the given inputs.

    Raises:
        SecateurError: as `load_session`, or a graph with other inputs.
    """
    session = load_session(path, threads)
    names_there = {value.name for value in session.get_inputs()}
    if names_there != inputs:
        names = ", ".join(sorted(names_there))
        raise SecateurError(f"{path}: not the graph that goes with this config.json (its inputs: {names})")
    return session


def load_session(path: Path, threads: int | None) -> LoadedGraph:
    """A session for one graph.

    Raises:
        SecateurError: no such graph, or one that does more than compute (see `onnx_file`).
    """
    import onnxruntime

    check_onnx(path)

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    # Encoder and decoder take turns: threads that keep spinning after a run would only disturb the other's.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"], enable_fallback=False)
    except Exception as problem:  # onnxruntime raises its own types, all different
        reason = str(problem).splitlines()[0]
        raise SecateurError(f"{path}: onnxruntime {onnxruntime.__version__} cannot load it ({reason})") from problem
    trim()  # weights of four bits are unpacked once: what that took, hundreds of megabytes, is free again
    return LoadedGraph(session, path)


class LoadedGraph:
    """A session whose failures are one-line errors: a config may not fit its graph."""

    def __init__(self, session: Any, path: Path) -> None:
        self._session, self._path = session, path
        self._giving_back: Any = None  # options of the next run, where it gives memory back

    def get_inputs(self) -> Any:
        """See `onnxruntime.InferenceSession`."""
        return self._session.get_inputs()

    def get_outputs(self) -> Any:
        """See `onnxruntime.InferenceSession`."""
        return self._session.get_outputs()

    def give_back(self) -> None:
        """Let the next run, a small one, give back what larger ones have taken: onnxruntime keeps it otherwise."""
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._giving_back = options

    def run(self, outputs: Sequence[str] | None, feed: Arrays) -> Any:
        """The values of `outputs`, None: all.

        Raises:
            SecateurError: the graph cannot compute them. Memory that runs out is not caught: there may be a way.
        """
        options, self._giving_back = self._giving_back, None
        try:
            return self._session.run(outputs, feed, options)
        except Exception as problem:  # onnxruntime raises its own types, all different
            if out_of_memory(problem):
                raise
            raise SecateurError(f"{self._path}: does not go with its config.json ({problem})") from problem
