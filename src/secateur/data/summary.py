"""What a prepared set looks like, in a line, and what its owner should know of it."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from .manifest import Utterance
from .recording import LeftOut

CASED = 20  # letters with case before the casing of texts is judged
LATIN = 0x24F  # the last of its letters in Unicode, but for rare ones
TURKIC = ("tr", "az")


def casing(texts: Iterable[str]) -> str:
    """How texts are written: "upper", "lower", "mixed", or "" where letters have no case (or there are hardly any).

    >>> casing(["HELLO THERE, HOW ARE YOU TODAY"]), casing(["Good day to you, and good night"]), casing(["你好"])
    ('upper', 'mixed', '')
    """
    every = "".join(texts)
    return _casing(sum(map(str.isupper, every)), sum(map(str.islower, every)))


def _casing(upper: int, lower: int) -> str:
    if upper + lower < CASED:
        return ""
    if upper > 0.98 * (upper + lower):
        return "upper"
    return "lower" if not upper else "mixed"


def lower_case(text: str, language: str) -> str:
    """A text in lower case; Turkish and Azerbaijani have two letters i.

    >>> lower_case("ISTANBUL, DİYARBAKIR", "tr"), lower_case("STRASSE", "de")
    ('ıstanbul, diyarbakır', 'strasse')
    """
    if language.lower().split("-")[0] in TURKIC:
        text = text.replace("I", "ı").replace("İ", "i")
    return unicodedata.normalize("NFC", text.lower()) if "İ" in text else text.lower()


def counted(left_out: Sequence[LeftOut]) -> list[tuple[str, int, LeftOut]]:
    """Reasons, how often each occurs, and its first case; the most frequent first."""
    counts = Counter(one.reason for one in left_out)
    first = {one.reason: one for one in reversed(left_out)}
    return [(reason, count, first[reason]) for reason, count in counts.most_common()]


class Overview:
    """Counts what a line says of a set, clip by clip; memory grows with the number of speakers."""

    def __init__(self, utterances: Iterable[Utterance] = ()) -> None:
        self.clips = self.without_speaker = self.parts = self.empty = 0
        self.seconds = 0.0
        self.speakers: set[str] = set()
        self.languages: Counter[str] = Counter()
        self._letters = [0, 0]  # upper, lower
        self._english = [0, 0]  # clips labelled English with Latin letters, and with others
        for u in utterances:
            self.add(u)

    def add(self, u: Utterance) -> None:
        """Count one clip."""
        self.clips += 1
        self.seconds += u.duration
        self.languages[u.language] += 1
        self.parts += u.offset is not None
        self.empty += u.no_speech
        if u.speaker:
            self.speakers.add(u.speaker)
        else:
            self.without_speaker += 1
        if u.text and u.language.split("-")[0] == "en":
            other = sum(c.isalpha() and ord(c) > LATIN for c in u.text)
            self._english[2 * other > len(u.text.replace(" ", ""))] += 1
        if min(self._letters) <= CASED:
            self._letters[0] += sum(map(str.isupper, u.text))
            self._letters[1] += sum(map(str.islower, u.text))

    @property
    def casing(self) -> str:
        """How texts are written; see `casing`."""
        return _casing(*self._letters)

    def line(self) -> str:
        """Clips, hours, speakers, languages, how texts are written."""
        count = len(self.speakers)
        who = (f"{count} speaker" if count == 1 else f"{count} speakers") if count else "no speakers named"
        who += f" ({self.without_speaker} clips without)" if count and self.without_speaker else ""
        several = len(self.languages) > 1
        tongues = ", ".join(f"{name} ({n})" if several else name for name, n in self.languages.most_common(8))
        cases = {"upper": "upper case only", "lower": "lower case only", "mixed": "upper and lower case"}
        return "; ".join(filter(None, (
            f"{self.clips} utterances, {self.seconds / 3600:.2f} h", who,
            f"languages {tongues}" if several else f"language {tongues}",
            f"texts in {cases[self.casing]}" if self.casing else "",
            f"{self.parts} are parts of longer recordings" if self.parts else "",
            f"{self.empty} without speech" if self.empty else "",
        )))  # fmt: skip

    def remarks(self) -> list[str]:
        """What should be looked at before training, with what to do."""
        lines = []
        if self.casing == "upper":
            lines.append(
                "texts are in upper case only, and a Whisper would learn to write so: `secateur data prepare --lower` "
                "writes them in lower case"
            )
        if self._english[1] > self._english[0]:
            lines.append("texts are said to be English ('en' where nothing else is told), and are not: name --language")
        if self.without_speaker:
            every = self.without_speaker == self.clips
            who = "no clip names its speaker" if every else f"{self.without_speaker} clips name no speaker"
            lines.append(
                f"{who}, so splits may share speakers and intervals are too narrow: `secateur data prepare "
                "--speaker-from '{speaker}/*'` takes them from paths, `--columns speaker=NAME` from a column"
            )
        return lines


def remarks(overview: Overview, left_out: Sequence[LeftOut]) -> list[str]:
    """What should be looked at after a set was prepared."""
    long = sum(one.reason == "too long" for one in left_out)
    advice = f"{long} recordings are longer than --max-seconds: `secateur data align` cuts one with its text"
    return overview.remarks() + ([advice] if long else [])
