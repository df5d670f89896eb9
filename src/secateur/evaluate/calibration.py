"""What decoding must know of a model, measured on dev clips: thresholds, and whether prompts cost it words."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..base.files import write_json
from ..base.options import to_dict
from ..base.progress import say
from ..data.manifest import evenly, read_manifest
from ..decode.generation import Calibration, Generation, UngatedOutputs, calibrate
from ..decode.options import DecodingOptions
from ..decode.segments import Audio
from ..runtime.contents import CONTENTS, read_contents
from .conditions import ClipSamples, build
from .decoded import PIECE
from .real_use import measure, source_of

if TYPE_CHECKING:
    from ..data.manifest import Utterance
    from ..runtime.recogniser import Recogniser

LEAST = 50  # clips with speech from which thresholds can be chosen
MOST = 400  # that are decoded for them
TRIED = 80  # clips on which prompts are tried
WINDOWS = (15.0, 10.0)  # seconds that long recordings are tried in
WORSE = 0.005  # error rate by which a prompt may raise it
UNGATED = DecodingOptions(
    vad="off", calibrated=False, temperatures=(0.0,), compression_ratio_threshold=None, log_prob_threshold=None,
    no_speech_threshold=1.0,
)  # fmt: skip


def evidence(recogniser: Recogniser, audios: Sequence[Audio], language: str | None = None) -> UngatedOutputs:
    """The outputs of a model for clips when nothing is dropped."""
    options = replace(UNGATED, language=language)
    transcripts = [
        one for i in range(0, len(audios), PIECE) for one in recogniser.transcribe_batch(audios[i : i + PIECE], options)
    ]
    log_prob, no_speech, repetition = (np.full(len(transcripts), math.nan) for _ in range(3))
    for i, one in enumerate(transcripts):
        if one.segments:
            log_prob[i] = np.mean([s.avg_logprob for s in one.segments])
            probabilities = [s.no_speech_prob for s in one.segments if s.no_speech_prob is not None]
            no_speech[i] = np.mean(probabilities) if probabilities else math.nan
            data = one.text.encode()
            repetition[i] = len(data) / len(zlib.compress(data))
    return UngatedOutputs(log_prob, no_speech, repetition)


def generation_of(recogniser: Recogniser, source: ClipSamples) -> Calibration:
    """Thresholds that lose at most one clip in a thousand and let at most 4 % of recordings without speech through; and
    no prompts for a model whose error rate they raise by more than half a point.

    Raises:
        SecateurError: no clip of `source` gives any text.
    """
    languages = {clip.language for clip in source.clips}
    language = languages.pop() if len(languages) == 1 and len(recogniser.languages) > 1 else None
    speech = evidence(recogniser, [source.samples(clip) for clip in source.clips[:MOST]], language)
    other = evidence(recogniser, [case.samples for case in build("nonspeech", source)], language)
    calibration = calibrate(speech, other)
    return replace(
        calibration, generation=_prompted(recogniser, source, _cut(recogniser, source, calibration.generation))
    )


def _cut(recogniser: Recogniser, source: ClipSamples, generation: Generation) -> Generation:
    """`generation` with the windows in which long recordings have the lowest error rate."""
    few = replace(source, clips=source.clips[:TRIED])
    before, rates = recogniser.generation, dict[float | None, float]()
    try:
        for seconds in (None, *(s for s in WINDOWS if s < recogniser.window_seconds)):
            recogniser.generation = replace(generation, window_seconds=seconds)
            result = measure(recogniser, few, ["joined-120"], model="", data="", resamples=1).get("joined-120")
            if result is None:
                return generation
            rates[seconds] = result.rate + (0.0 if seconds is None else WORSE / 2)
    finally:
        recogniser.generation = before
    return replace(generation, window_seconds=min(rates, key=rates.__getitem__))


def _prompted(recogniser: Recogniser, source: ClipSamples, generation: Generation) -> Generation:
    """`generation` with what prompts do to the error rate."""
    tokens = getattr(recogniser.config, "tokens", None)
    if tokens is None or tokens.previous is None:
        return generation
    few = replace(source, clips=source.clips[:TRIED])
    names = ["clean", "prompt-neutral", "prompt-words", "joined-120", "previous"]
    recogniser.generation, before = replace(generation, prompts=True, previous_text=True), recogniser.generation
    try:
        rates = {name: r.rate for name, r in measure(recogniser, few, names, model="", data="", resamples=1).items()}
    finally:
        recogniser.generation = before
    prompts = all(rates[n] <= rates["clean"] + WORSE for n in ("prompt-neutral", "prompt-words") if n in rates)
    single = rates.get("joined-120", rates["clean"])
    return replace(
        generation, prompts=prompts, previous_text=prompts and rates.get("previous", single) <= single + WORSE
    )


def calibrate_export(folder: Path, dev: Path, limit: int | None = None, nonspeech: Path | None = None) -> Generation:
    """Measure an exported model on `dev` and record what decoding must know about it in its `export.json`.

    `nonspeech` is a manifest of recordings in which nobody speaks; left out, they are generated. With too few clips
    the export stays as it is, and a line says so.

    Raises:
        SecateurError: a folder or manifest that cannot be read.
    """
    from ..runtime.recogniser import Recogniser

    contents = read_contents(folder)
    clips = [clip for clip in read_manifest(dev) if clip.text.strip()][:limit]
    if len(clips) < LEAST:
        say(f"{dev}: {len(clips)} clips are too few to calibrate thresholds on (at least {LEAST}): the usual ones stay")
        return contents.generation
    recogniser = Recogniser.load(folder)
    silent: list[Utterance] = [] if nonspeech is None else list(read_manifest(nonspeech))
    calibration = generation_of(recogniser, source_of(evenly(clips, MOST), recogniser.sample_rate, silent))
    write_json(folder / CONTENTS, to_dict(replace(contents, generation=calibration.generation)))
    say(
        f"thresholds: {100 * calibration.invented:.1f} % of recordings without speech keep a text, "
        f"{100 * calibration.lost:.1f} % of clips lose theirs; prompts "
        f"{'help or do no harm' if calibration.generation.prompts else 'cost words: left out'}"
    )
    return calibration.generation
