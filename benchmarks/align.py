"""How well `secateur data align` cuts: clips of LibriSpeech joined, with joints that are known.

The truth of words is PocketSphinx's forced alignment of each clip by itself (words that its dictionary
lacks are spelled by rule). Three transcripts: as spoken, with passages that nobody speaks put in, and with passages
taken out. An utterance is wrongly cut when the words of its audio, by that truth, are not the words of its text.

    python benchmarks/align.py            # about 25 minutes of speech
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from recorded import how

from secateur.audio.read import read_audio
from secateur.data.alignment.cut import CutSettings
from secateur.data.manifest import Utterance, find_speech, read_manifest
from secateur.runtime.align import Aligned, align
from secateur.runtime.recogniser import Recogniser

HERE = Path(__file__).resolve().parent
RATE = 16000
NEAR = 0.2  # s
EDGE = 0.12  # s of a word that a cut may take: the truth has its own error


def joined(clips: list[Utterance], path: Path, seed: int) -> list[float]:
    """Write all clips with pauses of 0.2 to 1.2 s between them; where each begins (s)."""
    draw = random.Random(seed)
    pieces, starts, at = [], [], 0
    for u in clips:
        samples = read_audio(u.audio, RATE)
        hiss = np.random.default_rng(len(pieces)).normal(0, 2e-4, round(draw.uniform(0.2, 1.2) * RATE))
        starts.append(at / RATE)
        pieces += [samples, hiss.astype(np.float32)]
        at += len(samples) + len(hiss)
    soundfile.write(path, np.concatenate(pieces), RATE)
    return starts


def forced(clips: list[Utterance]) -> list[list[tuple[float, float]] | None]:
    """Start and end (s) of every word of each clip; None where PocketSphinx cannot align one."""
    from pocketsphinx import Decoder

    decoder = Decoder(lm=None, loglevel="FATAL")
    found: list[list[tuple[float, float]] | None] = []
    for u in clips:
        words = u.text.lower().split()
        for word in words:
            if decoder.lookup_word(word) is None:
                decoder.add_word(word, _sounds(word), True)
        try:
            decoder.set_align_text(" ".join(words))
            samples = (read_audio(u.audio, RATE) * 32767).astype(np.int16)
            decoder.start_utt()
            decoder.process_raw(samples.tobytes(), full_utt=True)
            decoder.end_utt()
            spans = [(s.start_frame / 100, (s.end_frame + 1) / 100) for s in decoder.seg() if s.word[0] not in "<["]
        except (RuntimeError, TypeError):
            spans = []
        found.append(spans if len(spans) == len(words) else None)
    return found


SOUNDS = {
    "tch": "CH", "igh": "AY", "ch": "CH", "sh": "SH", "th": "TH", "ph": "F", "ng": "NG", "ck": "K", "ee": "IY",
    "oo": "UW", "ou": "AW", "ea": "IY", "ai": "EY", "ay": "EY", "qu": "K W", "a": "AE", "b": "B", "c": "K", "d": "D",
    "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH", "j": "JH", "k": "K", "l": "L", "m": "M", "n": "N", "o": "OW",
    "p": "P", "q": "K", "r": "R", "s": "S", "t": "T", "u": "AH", "v": "V", "w": "W", "x": "K S", "y": "IY", "z": "Z",
}  # fmt: skip


def _sounds(word: str) -> str:
    """About how a word that no dictionary has is spoken: enough to find it between its neighbours."""
    found, rest = [], "".join(c for c in word if c.isalpha())
    while rest:
        size = next(n for n in (3, 2, 1) if rest[:n] in SOUNDS)
        found.append(SOUNDS[rest[:size]])
        rest = rest[size:]
    return " ".join(found) or "AH"


def measure(found: Aligned, spoken: list[int], truth: list[tuple[float, float] | None]) -> dict[str, Any]:
    """Figures of one alignment; `spoken` has, for each word of the text, its number in the truth, or -1."""
    starts, ends, wrong, kept_wrong = [], [], 0, 0
    centres = [None if t is None else (t[0] + t[1]) / 2 for t in truth]
    for one in found.cuts:
        numbers = spoken[one.first : one.after]
        kept_wrong += sum(n < 0 for n in numbers)
        for i, n in zip(range(one.first, one.after), numbers, strict=True):
            word = found.timed.words[i]
            if word is not None and n >= 0 and truth[n] is not None:
                starts.append(abs(word.start - truth[n][0]))
                ends.append(abs(word.end - truth[n][1]))
        inside = [n for n, c in enumerate(centres) if c is not None and one.start <= c <= one.end]
        known = [n for n in numbers if n < 0 or truth[n] is not None]
        spans = [span for n in numbers if n >= 0 and (span := truth[n]) is not None]
        cut_into = any(a < one.start - EDGE or b > one.end + EDGE for a, b in spans)
        wrong += inside != known or cut_into
    real = sum(n >= 0 for n in spoken)
    kept = sum(n >= 0 for one in found.cuts for n in spoken[one.first : one.after])
    both = [max(a, b) <= NEAR for a, b in zip(starts, ends, strict=True)]
    return {
        "utterances": len(found.cuts), "wrongly_cut": wrong, "share_wrongly_cut": round(wrong / len(found.cuts), 4),
        "words_in_text": len(spoken), "words_spoken": real, "text_kept": round(kept / real, 4),
        "words_not_spoken_kept": kept_wrong, "words_measured": len(starts),
        "starts_within_0.2_s": round(float(np.mean(np.array(starts) <= NEAR)), 4),
        "ends_within_0.2_s": round(float(np.mean(np.array(ends) <= NEAR)), 4),
        "words_within_0.2_s": round(float(np.mean(both)), 4),
        "median_start_error_s": round(float(np.median(starts)), 3),
        "mean_seconds": round(float(np.mean([one.end - one.start for one in found.cuts])), 2),
    }  # fmt: skip


def transcripts(clips: list[Utterance], others: list[Utterance]) -> dict[str, tuple[str, list[int]]]:
    """The text as spoken, with passages put in, with passages taken out; each word's number among those spoken."""
    draw = random.Random(1)
    plain, put_in, taken_out = [], [], []
    number = 0
    for i, u in enumerate(clips):
        words = u.text.split()
        these = [(w, number + k) for k, w in enumerate(words)]
        number += len(words)
        plain += these
        if i % 8 == 3:
            put_in += [(w, -1) for w in others[i % len(others)].text.split()]
        put_in += these
        if i % 8 != 5:
            start = draw.randrange(3, 9) if i % 8 == 1 and len(these) > 20 else 0  # some begin in the middle of one
            taken_out += these[start:]
    return {
        name: (" ".join(w for w, _ in words), [n for _, n in words])
        for name, words in (("as spoken", plain), ("passages put in", put_in), ("passages taken out", taken_out))
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--split", default="test")
    parser.add_argument("--model", default=None)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "align.json")
    parser.add_argument("--work", type=Path, default=Path("/tmp/secateur-align"))
    options = parser.parse_args()
    speech = find_speech()
    assert speech is not None, "name the folder of speech with SECATEUR_DATA"
    every = read_manifest(speech / "librispeech-mini" / f"{options.split}.jsonl")
    clips, seconds = [], 0.0
    for u in every[:: max(1, int(sum(e.duration for e in every) / 60 / options.minutes))]:
        if seconds < 60 * options.minutes:
            clips.append(u)
            seconds += u.duration
    others = [u for u in read_manifest(speech / "librispeech-mini" / "train.jsonl")[:200] if len(u.text.split()) > 15]
    options.work.mkdir(parents=True, exist_ok=True)
    path = options.work / "joined.flac"
    starts = joined(clips, path, 0)
    truth: list[tuple[float, float] | None] = []
    for u, at, spans in zip(clips, starts, forced(clips), strict=True):
        count = len(u.text.split())
        truth += [None] * count if spans is None else [(at + a, at + b) for a, b in spans]
    recogniser = Recogniser.load(options.model, 1)
    first, known = recogniser.transcribe_batch, {}  # the three transcripts are of one recording

    def again(pieces: Any, how: Any = None) -> Any:
        keys = [(len(p), float(np.abs(p).sum()), how.word_times) for p in pieces]
        new = [i for i, key in enumerate(keys) if key not in known]
        known.update(zip([keys[i] for i in new], first([pieces[i] for i in new], how) if new else [], strict=True))
        return [known[key] for key in keys]

    recogniser.transcribe_batch = again  # type: ignore[method-assign]
    results: dict[str, Any] = {
        "data": f"librispeech-mini/{options.split}", "clips": len(clips), "minutes": round(seconds / 60, 2),
        "speakers": len({u.speaker for u in clips}), "model": str(options.model or "bundled"),
        "truth": "pocketsphinx forced alignment of each clip", "words_with_truth": sum(t is not None for t in truth),
    }  # fmt: skip
    for name, (text, spoken) in transcripts(clips, others).items():
        begun = time.perf_counter()
        found = align(path, text, recogniser, "en", CutSettings())
        results[name] = measure(found, spoken, truth) | {"rtf": round((time.perf_counter() - begun) / found.seconds, 3)}
        print(name, json.dumps(results[name], indent=1))
    options.out.write_text(json.dumps({"how": how(), **results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
