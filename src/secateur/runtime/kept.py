"""A long recording's windows, kept as they are decoded: progress is shown, and a killed run goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..base.files import write_text
from ..base.options import from_dict, to_dict
from ..base.progress import track
from ..decode.clips import DecodedAudio
from ..decode.options import DecodingOptions
from ..decode.segments import Audio, Segment
from ..decode.speech import Window

CHUNK = 16  # windows that are decoded together, and kept

Key = tuple[tuple[int, int], ...]


class Kept:
    """Results of windows of one recording, in a file beside its transcript where `path` names one.

    What an earlier run left there counts only if it was the same recording, model and options (`key`).
    """

    def __init__(self, path: Path | None, key: str, label: str) -> None:
        self._path, self._label = path, label
        self._known: dict[Key, DecodedAudio] = {}
        if path is None:
            return
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else []
        if lines and lines[0] == key:
            for line in lines[1:]:
                try:
                    values = json.loads(line)
                    spans = tuple((int(a), int(b)) for a, b in values["window"])
                    segments = tuple(from_dict(Segment, segment) for segment in values["segments"])
                    self._known[spans] = DecodedAudio(segments, values["language"])
                except (ValueError, KeyError, TypeError):  # the line that a killed run was writing
                    continue
        write_text(path, "\n".join([key, *(_line(spans, heard) for spans, heard in self._known.items())]) + "\n")

    def recall(self, window: Window) -> DecodedAudio | None:
        """What was decoded in a window before."""
        return self._known.get(window.spans)

    def keep(self, windows: Sequence[Window], heard: Sequence[DecodedAudio]) -> None:
        """What was decoded now."""
        for window, one in zip(windows, heard, strict=True):
            self._known[window.spans] = one
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("".join(_line(w.spans, one) + "\n" for w, one in zip(windows, heard, strict=True)))

    def chunks(self, todo: Sequence[int]) -> Iterator[Sequence[int]]:
        """`todo` a few at a time, with a line of progress."""
        parts = [todo[i : i + CHUNK] for i in range(0, len(todo), CHUNK)]
        yield from track(parts, self._label, len(parts), quiet=len(parts) < 2)


def key_of(audio: Audio, model: Any, options: DecodingOptions) -> str:
    """What tells one run from another: the samples, the model's config and the options."""
    said = json.dumps([to_dict(model), to_dict(options)], sort_keys=True, default=str)
    return hashlib.sha256(said.encode() + audio.tobytes()).hexdigest()


def _line(spans: Key, heard: DecodedAudio) -> str:
    values = {"window": spans, "segments": to_dict(heard.segments), "language": heard.language}
    return json.dumps(values, ensure_ascii=False)
