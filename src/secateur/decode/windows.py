"""Recordings longer than a window: followed by timestamps, or cut at quiet places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..text.tokenizer import Tokenizer
from .alignment import loud_frames, pauses, sounding, token_times, words_of
from .clips import SHORTEST, DecodedAudio, as_segment, audible, decode_clips, encode_clips, has_speech
from .fallback import Decoded, decode
from .options import DecodingOptions
from .prompt import chosen, detect, prompt
from .segments import Audio, Segment, divided, moved, next_cut, one_after_another, quiet_cuts, split
from .session import DecoderSession, DeviceDecoder, State, TokenConfig

BALLOTS = 5  # windows of a recording that vote on its language
SAME = 4  # tokens from which a window that repeats the one before is suspicious
HOT = 0.5  # text decoded above this temperature is not trusted as the next window's prompt


def by_timestamps(config: TokenConfig, options: DecodingOptions, long: bool) -> bool:
    """Whether to ask for timestamp tokens. A tuned model (`padded` false) has unlearned them: only on request."""
    if config.tokens.timestamps is None or options.timestamps is False:
        return False
    return bool(options.timestamps) or (long and config.padded)


def follows(config: TokenConfig, options: DecodingOptions, long: bool) -> bool:
    """Whether windows follow each other, because of timestamps or of text that is the next window's prompt."""
    conditioned = options.condition_on_previous and config.tokens.previous is not None
    return by_timestamps(config, options, long) or (long and conditioned)


def vote(session: DecoderSession, clips: Sequence[Audio]) -> str | None:
    """The language with the highest mean log probability over `clips`, each at most one window; None: all are quiet."""
    loud = [clip for clip in clips if audible(clip)]
    if not loud:
        return None
    if isinstance(session, DeviceDecoder):
        ballots = detect(session, encode_clips(session, loud), len(loud))
    else:
        ballots = [detect(session, encode_clips(session, [clip]), 1)[0] for clip in loud]
    return max(ballots[0], key=lambda name: sum(math.log(max(ballot[name], 1e-9)) for ballot in ballots))


def decode_long(session: DecoderSession, tokenizer: Tokenizer, audio: Audio, options: DecodingOptions) -> DecodedAudio:
    """Recognise `audio` (samples at the model's rate) of any length.

    By timestamps, or when text is the next window's prompt, windows follow each other; else they are batched.

    Raises:
        SecateurError: the model lacks the language, the task or the prompt token.
    """
    config = session.config
    size, rate = config.window, config.front_end.sample_rate
    language = chosen(config.tokens, options.language)
    if language is None:
        cuts = quiet_cuts(audio, size, rate)
        loudest = sorted(cuts, key=lambda cut: -float(np.square(audio[slice(*cut)]).sum()))[:BALLOTS]
        language = vote(session, [audio[a:b] for a, b in loudest])
        if language is None:
            return DecodedAudio((), None)
    timestamps = by_timestamps(config, options, len(audio) > size)
    if follows(config, options, len(audio) > size):
        return DecodedAudio(_in_turn(session, tokenizer, audio, options, language, timestamps), language)
    pieces = quiet_cuts(audio, size, rate)
    known = replace(options, language=language)
    decoded = decode_clips(session, tokenizer, [audio[a:b] for a, b in pieces], known)
    later = [moved(s, start / rate) for (start, _), one in zip(pieces, decoded, strict=True) for s in one.segments]
    return DecodedAudio(tuple(later), language)


def _in_turn(
    session: DecoderSession,
    tokenizer: Tokenizer,
    audio: Audio,
    options: DecodingOptions,
    language: str,
    timestamps: bool,
) -> tuple[Segment, ...]:
    """Window after window; the next one begins at the last whole segment's end (timestamps) or at the cut."""
    config = session.config
    size, rate = config.window, config.front_end.sample_rate
    timeline: list[Segment] = []
    previous: list[int] = []
    at = 0
    while len(audio) - at >= SHORTEST * rate:
        end = min(at + size, len(audio)) if timestamps else next_cut(audio, at, size, rate)
        window = audio[at:end]
        if not audible(window):
            at = end
            continue
        ids = prompt(config, tokenizer, options, language, timestamps, previous)
        state = encode_clips(session, [window])
        result = decode(session, state, [ids], tokenizer, options, timestamps)[0]
        if previous and _misled(result, previous, options):
            previous = []
            ids = prompt(config, tokenizer, options, language, timestamps)
            alone = decode(session, state, [ids], tokenizer, options, timestamps)[0]
            result = alone if not alone.doubtful(options) or alone.avg_logprob >= result.avg_logprob else result
        following = len(window)
        if has_speech(result, options):
            seconds = len(window) / rate
            if timestamps:
                segments, seek = _timed(result, config, tokenizer, seconds)
                following = min(following, max(round(seek * rate), 1))
            else:
                segments = [as_segment(result, seconds)]
            by_pauses = timestamps and options.vad != "off" and session.shows_attention
            if options.word_times or by_pauses:
                # Times are read off the plain text, whatever the decoder wrote between it.
                plain = prompt(config, tokenizer, options, language, False, previous)
                segments = _worded(session, state, plain, segments, tokenizer, language, window, by_pauses)
                if not options.word_times:
                    segments = [replace(segment, words=()) for segment in segments]
            timeline = one_after_another([*timeline, *(moved(segment, at / rate) for segment in segments)])
            trusted = options.condition_on_previous and result.temperature <= HOT and not result.doubtful(options)
            previous = previous + [i for segment in segments for i in segment.tokens] if trusted else []
        at += following
    return tuple(timeline)


def _misled(result: Decoded, previous: Sequence[int], options: DecodingOptions) -> bool:
    """Whether the text before may have led a window astray: it is not trusted, is empty, or repeats itself."""
    again = len(result.tokens) >= SAME and tuple(previous[-len(result.tokens) :]) == result.tokens
    return result.doubtful(options) or not result.text or again


def _timed(result: Decoded, config: TokenConfig, tokenizer: Tokenizer, seconds: float) -> tuple[list[Segment], float]:
    """The segments of a window `seconds` long, those without text or length left out, and where the next begins."""
    pieces, seek = split(result.tokens, config.tokens, seconds)
    segments, at = [], 0
    for start, end, ids in pieces:
        text = tokenizer.decode(ids).strip()
        if text and end > start:
            log_probs = result.log_probs[at : at + len(ids)]
            segments.append(as_segment(replace(result, tokens=tuple(ids), text=text, log_probs=log_probs), end, start))
        at += len(ids)
    return segments, seek


def _worded(
    session: DecoderSession, state: State, ids: list[int], segments: list[Segment], tokenizer: Tokenizer, language: str,
    window: Audio, by_pauses: bool,
) -> list[Segment]:  # fmt: skip
    """`segments` of one window, which `state` holds, with their words; `ids` is the prompt before plain text.

    With `by_pauses`, words are looked for between their segment's timestamps, segments begin and end with sound, and
    one that spans a pause becomes two: models leave such timestamps out where they were seldom taught them.
    """
    rate, end = session.config.front_end.sample_rate, session.config.tokens.end
    texts = [[(i, p) for i, p in zip(s.tokens, s.log_probs, strict=True) if i < end] for s in segments]
    every = [i for text in texts for i, _ in text]
    if not every:
        return segments
    within = [(s.start, s.end) for s, text in zip(segments, texts, strict=True) for _ in text] if by_pauses else None
    borders = token_times(session, state, [ids], [every], [len(window) / rate], within)[0]
    loud = loud_frames(window, rate)
    silences = pauses(loud)
    worded: list[Segment] = []
    at = 0
    for segment, text in zip(segments, texts, strict=True):
        after = at + len(text)
        row, log_probs = [i for i, _ in text], [p for _, p in text]
        words = words_of(row, borders[at : after + 1], log_probs, tokenizer, language, loud)
        timed = replace(segment, words=tuple(word for _, word in words))
        at = after
        if not by_pauses:
            worded.append(timed)
            continue
        start, stop = sounding(segment.start, segment.end, loud)
        first_tokens = [i for i, token in enumerate(segment.tokens) if token < end]
        starts = [first_tokens[first] for first, _ in words]
        timed = replace(timed, start=round(start, 3), end=round(stop, 3))
        worded += divided(timed, starts, tokenizer.decode, silences)
    return worded
