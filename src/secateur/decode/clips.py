"""Clips that fit one window: features and encoder in batches of similar length, then decoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..base.progress import check_cancelled
from ..features.front_end import extract
from ..text.tokenizer import Tokenizer
from .alignment import loud_frames, pauses, sounding, token_times, words_of
from .fallback import Decoded, decode
from .options import DecodingOptions
from .prompt import chosen, detect, likeliest, prompt
from .segments import Audio, Segment, Word, confidence, divided
from .session import DecoderSession, DeviceDecoder, State, TokenConfig

SILENCE = 2.0**-15  # peak below one step of 16-bit audio: digital silence
SHORTEST = 0.1  # seconds; a shorter clip is filled up with zeros
SPREAD = 1.25  # the longest clip of a batch is at most so many times the shortest


@dataclass(frozen=True)
class BatchLimits:
    """How large a batch may be; the defaults are fast on a CPU."""

    rows: int = 8
    state_bytes: int = 256 * 2**20  # of a batch's cross-attention keys and values
    value_bytes: int = 4
    spread: float = SPREAD


CPU_LIMITS = BatchLimits()


@dataclass(frozen=True)
class DecodedAudio:
    """The decoded segments of one recording, and its language if the model distinguishes languages."""

    segments: tuple[Segment, ...]
    language: str | None


def encode_clips(session: DecoderSession, clips: Sequence[Audio]) -> State:
    """Features and encoder of `clips`, each at most one window; padded as the model expects it."""
    check_cancelled()
    config = session.config
    if isinstance(session, DeviceDecoder):
        shortest = round(SHORTEST * config.front_end.sample_rate)
        filled = [_fill(clip[: config.window], shortest) for clip in clips]
        pad_to = config.window if config.padded else None
        return session.encode_audio(filled, pad_to, config.window // config.front_end.hop)
    if config.padded:
        as_segment = [extract(_fill(clip, config.window), config.front_end) for clip in clips]
        return session.encode(np.stack(as_segment), None)
    shortest = round(SHORTEST * config.front_end.sample_rate)
    most = config.window // config.front_end.hop
    features = [extract(_fill(clip, shortest), config.front_end)[:most] for clip in clips]
    frames = np.array([len(one) for one in features], np.int64)
    if (frames == frames[0]).all():
        return session.encode(np.stack(features), None)
    table = np.zeros((len(features), int(frames.max()), features[0].shape[1]), np.float32)
    for row, one in zip(table, features, strict=True):
        row[: len(one)] = one
    return session.encode(table, frames)


def batches(lengths: Sequence[int], config: TokenConfig, limits: BatchLimits = CPU_LIMITS) -> list[list[int]]:
    """Indices of clips grouped by similar length (samples), as many as fit memory and are fast together."""
    per_position = limits.value_bytes * config.memory_values
    groups: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        positions = config.positions(lengths[i])
        rows = max(1, min(limits.rows, limits.state_bytes // max(1, positions * per_position)))
        alike = groups and (config.padded or lengths[i] <= limits.spread * lengths[groups[-1][0]])
        if alike and len(groups[-1]) < rows:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def limits_of(session: DecoderSession) -> BatchLimits:
    """How large the batches of `session` may be."""
    limits: BatchLimits = getattr(session, "limits", CPU_LIMITS)
    return limits


def decode_clips(
    session: DecoderSession, tokenizer: Tokenizer, clips: Sequence[Audio], options: DecodingOptions
) -> list[DecodedAudio]:
    """Recognise `clips` (samples at the model's rate), each at most one window, without timestamps.

    Raises:
        SecateurError: the model lacks the language, the task or the prompt token.
    """
    language = chosen(session.config.tokens, options.language)
    decoded = [DecodedAudio((), language)] * len(clips)
    loud = [i for i, clip in enumerate(clips) if audible(clip)]
    for group in batches([len(clips[i]) for i in loud], session.config, limits_of(session)):
        rows = [loud[i] for i in group]
        state = encode_clips(session, [clips[i] for i in rows])
        names = [language] * len(rows) if language else likeliest(detect(session, state, len(rows)))
        prompts = [prompt(session.config, tokenizer, options, name, timestamps=False) for name in names]
        results = decode(session, state, prompts, tokenizer, options, timestamps=False)
        seconds = [len(clips[i]) / session.config.front_end.sample_rate for i in rows]
        spoken = [k for k, result in enumerate(results) if has_speech(result, options)]
        parts: dict[int, tuple[Segment, ...]] = {k: (as_segment(results[k], seconds[k]),) for k in spoken}
        if options.word_times and spoken:
            some = state if len(spoken) == len(rows) else session.pick(state, np.array(spoken))
            ids = [results[k].tokens for k in spoken]
            borders = token_times(session, some, [prompts[k] for k in spoken], ids, [seconds[k] for k in spoken])
            for k, each in zip(spoken, borders, strict=True):
                sound = loud_frames(clips[rows[k]], session.config.front_end.sample_rate)
                words = words_of(results[k].tokens, each, results[k].log_probs, tokenizer, names[k], sound)
                start, end = (round(t, 3) for t in sounding(0.0, seconds[k], sound))
                timed = as_segment(results[k], end, start, tuple(word for _, word in words))
                parts[k] = tuple(divided(timed, [first for first, _ in words], tokenizer.decode, pauses(sound)))
        for k in spoken:  # a language detected in noise would be none
            decoded[rows[k]] = DecodedAudio(parts[k], names[k])
    return decoded


def audible(clip: Audio) -> bool:
    """Whether the clip is anything but digital silence."""
    return len(clip) > 0 and float(np.abs(clip).max()) >= SILENCE


def has_speech(result: Decoded, options: DecodingOptions) -> bool:
    """Whether a result holds text, and is not silence by the model's own judgement."""
    return bool(result.text) and not result.silent(options)


def as_segment(result: Decoded, end: float, start: float = 0.0, words: tuple[Word, ...] = ()) -> Segment:
    """All of a result as one segment (seconds)."""
    log_probs = tuple(round(p, 4) for p in result.log_probs)
    return Segment(
        start, end, result.text, result.avg_logprob, result.no_speech_prob, result.tokens, log_probs,
        confidence(log_probs), words, result.temperature,
    )  # fmt: skip


def _fill(clip: Audio, size: int) -> Audio:
    """`clip` with zeros up to `size` samples."""
    return np.pad(clip, (0, size - len(clip))) if len(clip) < size else clip
