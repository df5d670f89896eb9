"""From recordings to windows with speech in them, from what was decoded there (and kept) back to the recordings."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..base.files import write_text
from ..base.options import from_dict, to_dict
from ..base.progress import track
from ..decode.alignment import FRAME_MS, loud_frames, one_side, sounding
from ..decode.clips import DecodedAudio, audible
from ..decode.generation import Generation
from ..decode.options import DecodingOptions
from ..decode.segments import Audio, Segment, Word, quiet_cuts
from ..decode.speech import Span, SpeechSettings, Window, gaps, regions, windows
from .vad import BLOCK, speech_probabilities

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


Decode = Callable[[list[Audio], bool], list[DecodedAudio]]  # (clips, whether segments end at pauses)
SIGN = 0.1  # probability below which a sound is no speech for certain: nothing is decoded there
SHORTEST_SOUND = 0.5  # seconds without speech, yet with a sign of it, that are worth decoding
SHORTEST_SPEECH = 0.06  # seconds; a recording that is shorter holds no word
SLOW = 4.0  # letters a second of speech; a window with fewer is incomplete
LONG = 40.0  # seconds; a longer window is decoded in turns of its own
SOME = 1.5  # seconds of speech; less does not show that
LETTERS_OF_A_CHARACTER = 3  # that a Chinese, Japanese or Korean character counts for


def looks_for_speech(options: DecodingOptions) -> bool:
    """Whether a voice activity detector goes first."""
    return options.vad != "off"


def plan(
    audios: Sequence[Audio],
    longest: Sequence[int | None],
    options: DecodingOptions,
    rate: int,
    preferred: int | None = None,
) -> list[list[Window]]:
    """Windows of every recording, in order: its speech, then (`speech` 0) sound with a sign of speech between.

    Args:
        longest: samples of each recording's windows; None: one window, however long.
        preferred: samples of the windows of a recording that does not fit one; None: as long as they can be.

    Raises:
        SecateurError: the detector that was asked for is not installed.
    """
    settings = SpeechSettings(threshold=options.vad_threshold)
    block = round(BLOCK * rate)
    short = SHORTEST_SPEECH * rate
    chosen = [audio if len(audio) >= short and audible(audio) else audio[:0] for audio in audios]
    plans = []
    for audio, most, p in zip(chosen, longest, speech_probabilities(chosen, rate, options.vad_detector), strict=True):
        speech = regions(p, block, settings, rate)
        spoken = windows(speech, audio, most, settings, rate)
        if len(spoken) > 1 and most is not None and preferred is not None:
            spoken = windows(speech, audio, min(most, preferred), settings, rate)
        unsure = [
            Window(((a + x, a + y),), 0)
            for a, b in gaps(spoken, audio)
            if (b - a >= SHORTEST_SOUND * rate or not spoken) and p[a // block : -(-b // block)].max() >= SIGN
            for x, y in quiet_cuts(audio[a:b], len(audio) if most is None else most, rate)
        ]
        plans.append(sorted([*spoken, *unsure], key=lambda window: window.spans[0]))
    return plans


def trusted(window: Window, decoded: DecodedAudio, generation: Generation) -> DecodedAudio:
    """`decoded` without the text of a window where no speech was found, unless it is likely by itself."""
    if window.speech:
        return decoded
    kept = tuple(s for s in decoded.segments if s.avg_logprob >= generation.trusted)
    return decoded if len(kept) == len(decoded.segments) else replace(decoded, segments=kept)


def halves(window: Window, decoded: DecodedAudio, audio: Audio, rate: int) -> list[Window]:
    """Two windows to decode instead of one whose text is too short for its speech; none where it is not."""
    letters = sum(map(_letters, (s.text for s in decoded.segments)))
    if not SOME * rate <= window.speech <= LONG * rate or letters >= SLOW * window.speech / rate:
        return []
    if len(window.spans) > 1:
        # The longest pause has been cut here already.
        pauses = [b[0] - a[1] for a, b in zip(window.spans, window.spans[1:], strict=False)]
        at = pauses.index(max(pauses)) + 1
        parts: list[tuple[tuple[int, int], ...]] = [window.spans[:at], window.spans[at:]]
    else:
        ((start, end),) = window.spans
        if end - start < 2 * SOME * rate:
            return []
        middle = start + quiet_cuts(audio[start:end], (end - start) * 2 // 3, rate)[0][1]
        parts = [((start, middle),), ((middle, end),)]
    sizes = [sum(b - a for a, b in spans) for spans in parts]
    return [Window(spans, round(window.speech * size / sum(sizes))) for spans, size in zip(parts, sizes, strict=True)]


def around(window: Window, others: Sequence[Window]) -> list[Window]:
    """The parts of `window` before, between and after those of `others` that lie in its gaps.

    >>> around(Window(((0, 4), (9, 12)), 7), [Window(((5, 8),), 0), Window(((13, 14),), 0)])
    [Window(spans=((0, 4),), speech=4), Window(spans=((9, 12),), speech=3)]
    """
    parts: dict[int, list[Span]] = {}
    for span in window.spans:
        parts.setdefault(sum(other.spans[0] < span for other in others), []).append(span)
    shares = [(tuple(spans), sum(b - a for a, b in spans) / window.samples) for spans in parts.values()]
    return [Window(spans, round(window.speech * share)) for spans, share in shares]


def better(whole: DecodedAudio, parts: Sequence[DecodedAudio], generation: Generation) -> bool:
    """Whether two halves say clearly more than the whole did, and are to be trusted."""
    segments = [s for one in parts for s in one.segments]
    more = sum(map(_letters, (s.text for s in segments)))
    before = sum(map(_letters, (s.text for s in whole.segments)))
    return more > 1.3 * before and min(s.avg_logprob for s in segments) >= 2 * generation.trusted


def located(window: Window, segments: Sequence[Segment], audio: Audio, rate: int) -> list[Segment]:
    """Segments and words with their times in the recording instead of the window.

    Nothing reaches over a pause that was cut out: a word is on the side where most of its sound is.
    """
    joints = window.joints(rate)
    loud = loud_frames(window.of(audio), rate) if joints else np.ones(1, bool)

    def times(start: float, end: float) -> tuple[float, float]:
        first = round(window.original(start, rate), 3)
        return first, max(first, round(window.original(end, rate, ends=True), 3))

    def word(one: Word, following: float) -> Word:
        a, b = one_side(one.start, one.end, [(t, t) for t in joints], loud)
        if (a, b) != (one.start, one.end):
            a, b = sounding(a, b, loud)
        elif (pause := _pause_around(joints, a, b, loud)) is not None:
            # Attention runs ahead into a pause, seldom behind: what lies in one belongs to what comes after it.
            a, b = pause, max(pause, following)
        start, end = times(a, b)
        return replace(one, start=start, end=end)

    def bounds(one: Segment) -> tuple[float, float]:
        first, last = sounding(one.start, one.end, loud)
        start = first if any(one.start <= t <= first for t in joints) else one.start
        return times(start, last if any(last <= t <= one.end for t in joints) else one.end)

    result = []
    for one in segments:
        start, end = bounds(one)
        starts = [*(w.start for w in one.words), one.end]
        words = tuple(word(w, following) for w, following in zip(one.words, starts[1:], strict=False))
        result.append(replace(one, start=start, end=end, words=words))
    return result


def _pause_around(joints: Sequence[float], start: float, end: float, loud: NDArray[np.bool_]) -> float | None:
    """Where sound goes on after the silence at a joint, if all of `start` to `end` (seconds) lies in that silence."""
    frame = FRAME_MS / 1000
    for joint in joints:
        first, after = int(min(start, joint) / frame), math.ceil(max(end, joint) / frame)
        rest = np.flatnonzero(loud[after:])
        if not loud[first:after].any() and len(rest):
            return (after + int(rest[0])) * frame
    return None


def decoded(
    audios: Sequence[Audio], plans: Sequence[Sequence[Window]], generation: Generation, rate: int,
    decode: Decode, cache: WindowCache | None = None,
) -> list[DecodedAudio]:  # fmt: skip
    """Every recording decoded window by window; what seems incomplete is decoded again in halves.

    `cache` is for one recording by itself, whose windows are saved as they are decoded. Where a gap of a window turns
    out to hold text, the window is decoded again on either side of it: words come in the order of their times.
    The language is that of most of the text, None where there is none.
    """
    todo = [(i, window) for i, windows_of_one in enumerate(plans) for window in windows_of_one]
    results = [
        trusted(window, one, generation)
        for (_, window), one in zip(todo, _first(audios, todo, decode, cache), strict=True)
    ]
    between = _between(todo, results)
    again = [
        (k, halves(todo[k][1], one, audios[todo[k][0]], rate)) for k, one in enumerate(results) if k not in between
    ]
    again = [(k, parts) for k, parts in again if parts] + [(k, parts) for k, (parts, _) in between.items()]
    more = iter(_each(audios, [(todo[k][0], part) for k, parts in again for part in parts], decode))
    pieces: dict[int, list[tuple[Window, DecodedAudio]]] = {}
    for k, parts in again:
        new = [next(more) for _ in parts]
        if k in between or better(results[k], new, generation):
            pieces[k] = list(zip(parts, new, strict=True))
    for k, (_, inner) in between.items():
        pieces[k] = sorted([*pieces[k], *((todo[j][1], results[j]) for j in inner)], key=lambda one: one[0].spans[0])
        pieces |= {j: [] for j in inner}
    segments: list[list[Segment]] = [[] for _ in audios]
    languages: list[Counter[str]] = [Counter() for _ in audios]
    for k, ((i, window), one) in enumerate(zip(todo, results, strict=True)):
        for part, result in pieces.get(k, [(window, one)]):
            segments[i] += located(part, result.segments, audios[i], rate)
            if result.language:
                languages[i][result.language] += sum(_letters(s.text) for s in result.segments)
    return [
        DecodedAudio(tuple(recognised), max(names, key=names.__getitem__) if names else None)
        for recognised, names in zip(segments, languages, strict=True)
    ]


def _between(
    todo: Sequence[tuple[int, Window]], results: Sequence[DecodedAudio]
) -> dict[int, tuple[list[Window], list[int]]]:
    """Windows with gaps in which others have text: their parts around those, and the others' places."""
    straddled: dict[int, list[int]] = {}
    texts = [j for j, (_, window) in enumerate(todo) if not window.speech and _has_text(results[j])]
    for j in texts:
        (i, inner), start = todo[j], todo[j][1].spans[0]
        for k, (other, window) in enumerate(todo):
            if other == i and window != inner and window.spans[0] < start < window.spans[-1]:
                straddled.setdefault(k, []).append(j)
                break
    return {k: (around(todo[k][1], [todo[j][1] for j in inner]), inner) for k, inner in straddled.items()}


def _has_text(one: DecodedAudio) -> bool:
    return any(s.text.strip() for s in one.segments)


def _first(
    audios: Sequence[Audio], todo: Sequence[tuple[int, Window]], decode: Decode, cache: WindowCache | None
) -> list[DecodedAudio]:
    """What is decoded in every window, or was before."""
    if cache is None:
        return _each(audios, todo, decode)
    for rows in cache.chunks([k for k, (_, window) in enumerate(todo) if cache.get(window) is None]):
        some = [todo[k] for k in rows]
        cache.add([window for _, window in some], _each(audios, some, decode))
    return [result for _, window in todo if (result := cache.get(window)) is not None]


def _each(audios: Sequence[Audio], todo: Sequence[tuple[int, Window]], decode: Decode) -> list[DecodedAudio]:
    """What is decoded in every window; one that long pauses were cut out of, in segments that end there."""
    results: dict[int, DecodedAudio] = {}
    for whole in (True, False):
        rows = [k for k, (_, window) in enumerate(todo) if (len(window.spans) == 1) == whole]
        if rows:
            results |= zip(rows, decode([todo[k][1].of(audios[todo[k][0]]) for k in rows], not whole), strict=True)
    return [results[k] for k in range(len(todo))]


def _letters(text: str) -> int:
    """Letters of a text, as an alphabet would need them."""
    return sum(LETTERS_OF_A_CHARACTER if "\u3040" <= c <= "\ud7ff" else 1 for c in text if c.isalnum())
