"""A stretch of a recording with its annotation, and words joined into utterances."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

PAUSE = 0.5  # s between words at which an utterance ends
LONGEST = 20.0  # s of an utterance that is made of words
SILENCES = frozenset({"", "sil", "sp", "spn", "<sil>", "<p:>", "<eps>", "<s>", "</s>", "_", "#", "silence", "<pause>"})
# `ANN: hello`, and numbers as diarisation writes them
NAMED = re.compile(r"^([^\W\d_][\w .'\u2019-]{0,29}?)\s?(?::\s+|\uff1a\s*)(?=\S)")
NUMBERED = re.compile(r"(?i)speaker[ _]?\d{1,3}")


@dataclass(frozen=True)
class TimedText:
    """The transcript from `start` to `end` (s)."""

    start: float
    end: float
    text: str
    speaker: str = ""
    recording: str = ""  # its name, where a file is about several
    channel: int | None = None
    language: str = ""


def with_named_speakers(spans: Sequence[TimedText]) -> list[TimedText]:
    """Names before a colon become the speakers of texts without one; where two speak in a text, it has none.

    A name is in capitals above a text that is not, or `Speaker 1`, or one of those that most texts begin with. Lines of
    a text are looked at one by one and then joined.
    """
    lines = [line for span in spans if not span.speaker for line in span.text.split("\n")]
    begun = [match for line in lines if (match := NAMED.match(line))]
    counts = Counter(match[1] for match in begun)
    usual = 2 * len(begun) >= len(lines)
    cased = any(not match.string[match.end() :].isupper() for match in begun)
    names = {
        name
        for name, count in counts.items()
        if NUMBERED.fullmatch(name) or (cased and name.isupper()) or (usual and count > 1)
    }
    named = []
    for span in spans:
        matches = [(line, NAMED.match(line) if not span.speaker else None) for line in span.text.split("\n")]
        own = {match[1] for _, match in matches if match and match[1] in names}
        text = " ".join(line[match.end() :] if match and match[1] in names else line for line, match in matches)
        named.append(replace(span, text=text, speaker=span.speaker or (own.pop() if len(own) == 1 else "")))
    return named


def utterances_of(words: Iterable[TimedText]) -> list[TimedText]:
    """Utterances of words that are timed one by one: they end at pauses, and before they are too long.

    Where no pause is long enough within `LONGEST`, the longest one ends it.
    """
    lines: dict[tuple[str, int | None, str], list[TimedText]] = {}
    for word in words:
        if word.text.strip().lower() not in SILENCES:
            lines.setdefault((word.recording, word.channel, word.speaker), []).append(word)
    utterances: list[TimedText] = []
    for line in lines.values():
        run: list[TimedText] = []
        for word in sorted(line, key=lambda w: w.start):
            if run and word.start - run[-1].end >= PAUSE:
                utterances += _cut(run)
                run = []
            run.append(word)
        utterances += _cut(run)
    return utterances


def _cut(words: list[TimedText]) -> list[TimedText]:
    """Utterances of words without long pauses."""
    done: list[TimedText] = []
    waiting = [words] if words else []
    while waiting:
        run = waiting.pop()
        if run[-1].end - run[0].start <= LONGEST or len(run) == 1:
            text = " ".join(w.text.strip() for w in run)
            done.append(replace(run[0], end=max(w.end for w in run), text=text))
            continue
        inner = range(max(1, len(run) // 4), max(2, len(run) - len(run) // 4))
        at = max(inner, key=lambda i: run[i].start - run[i - 1].end)
        waiting += [run[at:], run[:at]]
    return done
