"""Decoded windows of a long recording, saved one after the other: a killed run resumes where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..base.files import write_text
from ..base.options import from_dict, to_dict
from ..base.progress import track
from ..decode.clips import DecodedAudio
from ..decode.options import DecodingOptions
from ..decode.segments import Audio, Segment
from ..decode.speech import Window

CHUNK = 16  # windows that are decoded together, and kept

Key = tuple[tuple[int, int], ...]


class WindowCache:
    """Results of windows of one recording, in a file beside its transcript where `path` names one.

    Results of an earlier run count only if recording, model and options were the same (`key`).
    """

    def __init__(self, path: Path | None, key: str, label: str) -> None:
        self._path, self._label = path, label
        self._decoded: dict[Key, DecodedAudio] = {}
        if path is None:
            return
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else []
        if lines and lines[0] == key:
            for line in lines[1:]:
                try:
                    values = json.loads(line)
                    spans = tuple((int(a), int(b)) for a, b in values["window"])
                    segments = tuple(from_dict(Segment, segment) for segment in values["segments"])
                    self._decoded[spans] = DecodedAudio(segments, values["language"])
                except (ValueError, KeyError, TypeError):  # the line that a killed run was writing
                    continue
        write_text(path, "\n".join([key, *(_line(spans, result) for spans, result in self._decoded.items())]) + "\n")

    def get(self, window: Window) -> DecodedAudio | None:
        """The saved result of a window, None if there is none."""
        return self._decoded.get(window.spans)

    def add(self, windows: Sequence[Window], results: Sequence[DecodedAudio]) -> None:
        """Save the results of windows."""
        for window, one in zip(windows, results, strict=True):
            self._decoded[window.spans] = one
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("".join(_line(w.spans, one) + "\n" for w, one in zip(windows, results, strict=True)))

    def chunks(self, todo: Sequence[int]) -> Iterator[Sequence[int]]:
        """`todo` a few at a time, with a line of progress."""
        parts = [todo[i : i + CHUNK] for i in range(0, len(todo), CHUNK)]
        yield from track(parts, self._label, len(parts), quiet=len(parts) < 2)


def key_of(audio: Audio, model: object, options: DecodingOptions) -> str:
    """A key that identifies a run: the hash of the samples, the model's config and the options."""
    settings = json.dumps([to_dict(model), to_dict(options)], sort_keys=True, default=str)
    return hashlib.sha256(settings.encode() + audio.tobytes()).hexdigest()


def _line(spans: Key, result: DecodedAudio) -> str:
    values = {"window": spans, "segments": to_dict(result.segments), "language": result.language}
    return json.dumps(values, ensure_ascii=False)
