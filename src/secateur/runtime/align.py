"""A recording and its plain transcript become utterances: recognise with word times, match, cut at pauses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..audio.read import read_audio
from ..base.errors import SecateurError
from ..base.progress import track
from ..data.alignment.cut import Cut, CutSettings, Gap, Timed, cut, gaps, time_words
from ..data.alignment.pauses import Pauses
from ..data.alignment.verify import inside, verify
from ..data.alignment.words import TextWord, key_of, recognised_words, text_words
from ..decode.options import DecodingOptions
from ..decode.segments import quiet_cuts
from ..text.clean import cleaner
from .recogniser import Recogniser

PIECE = 20.0  # s that are recognised at once, cut at quiet places
TOGETHER = 8  # pieces


@dataclass(frozen=True)
class Aligned:
    """Utterances of a recording, and what of its text is in none."""

    text: str  # cleaned; `words` are places in it
    words: list[TextWord]
    timed: Timed
    cuts: list[Cut]
    gaps: list[Gap]
    seconds: float  # of the recording

    def text_of(self, part: Cut | Gap) -> str:
        """The words of an utterance, or of a gap, as they are written."""
        return " ".join(self.text[self.words[part.first].start : self.words[part.after - 1].end].split())

    @property
    def kept(self) -> float:
        """Share of the transcript's words that are in utterances."""
        return sum(one.after - one.first for one in self.cuts) / max(1, len(self.words))


def align(
    recording: Path, text: str, recogniser: Recogniser, language: str = "en", settings: CutSettings | None = None
) -> Aligned:
    """Cut `recording` into utterances with the words of `text`.

    The recogniser need not be good: words that it gets right tie the text to the recording, those between them are
    placed by their letters. Ends of utterances lie in pauses; each utterance is recognised again by itself, by which
    words change sides of a pause, and doubtful ones fall out.

    Raises:
        SecateurError: audio that cannot be read, a text without words, or one that is not spoken in the recording.
    """
    plain = cleaner()(text)
    words = text_words(plain, language)
    if not words:
        raise SecateurError(f"{recording}: there are no words in its text")
    rate = recogniser.sample_rate
    samples = read_audio(recording, rate)
    size = round(min(PIECE, recogniser.window_seconds) * rate)
    pieces = quiet_cuts(samples, size, rate)
    options = DecodingOptions(  # no threshold drops a text, however unlikely: the alignment decides
        language=language or None, word_times=True, timestamps=False, temperatures=(0.0,),
        compression_ratio_threshold=None, log_prob_threshold=None, no_speech_threshold=None,
    )  # fmt: skip
    recognised: list[tuple[str, float, float]] = []
    for at in track(range(0, len(pieces), TOGETHER), f"recognising {recording.name}"):
        some = pieces[at : at + TOGETHER]
        for (start, _), one in zip(
            some, recogniser.transcribe_batch([samples[a:b] for a, b in some], options), strict=True
        ):
            recognised += [
                (w.text, start / rate + w.start, start / rate + w.end) for s in one.segments for w in s.words
            ]
    timed = time_words(words, recognised_words(recognised, language))
    settings = settings or CutSettings()
    cuts, reasons = cut(timed, Pauses(samples, rate), settings)
    again = []
    for at in track(range(0, len(cuts), TOGETHER), "recognising the utterances"):
        parts = [samples[round(c.start * rate) : round(c.end * rate)] for c in cuts[at : at + TOGETHER]]
        again += [key_of(one.text) for one in recogniser.transcribe_batch(parts, replace(options, word_times=False))]
    cuts, doubtful = verify(cuts, again, words)
    poor = [one for one in cuts if one.score < settings.least_score]
    cuts = [one for one in cuts if one.score >= settings.least_score]
    reasons |= doubtful | {i: "recognised as something else" for one in poor for i in range(one.first, one.after)}
    if not cuts:
        raise SecateurError(
            f"{recording}: nothing of the text was recognised in it: is it its transcript, and in the language "
            f"'{language}'? A better model is named with --model"
        )
    timed = replace(timed, words=inside(cuts, timed.words))
    return Aligned(plain, words, timed, cuts, gaps(timed, cuts, reasons), len(samples) / rate)
