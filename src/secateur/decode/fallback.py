"""Temperature fallback: decode again at a higher temperature what looks wrong (Radford et al. 2022, section 4.5)."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..base.errors import SecateurError
from ..base.progress import check_cancelled
from ..text.tokenizer import Tokenizer
from .fusion import BEAM as FUSION_BEAM
from .fusion import WordFusion, fusion_of
from .generation import log_odds
from .loops import cut_loops, first_rounds
from .options import DecodingOptions
from .rules import Rules, log_sum_exp
from .search import Hypothesis, beam_search, greedy, sample
from .session import DecoderSession, DeviceDecoder, Floats, State

MOST_TOKENS = 224  # half of the reference's text context; a pruned context may hold fewer


@dataclass(frozen=True)
class Decoded:
    """One window's result."""

    tokens: tuple[int, ...]
    text: str
    avg_logprob: float
    no_speech_prob: float | None = None  # None: the model has no such token, or it was not computed
    temperature: float = 0.0
    log_probs: tuple[float, ...] = ()  # of each token
    failed: bool = False  # at every temperature
    looped: bool = False  # a phrase came again and again, and was cut to its first round

    @property
    def compression_ratio(self) -> float:
        """Bytes of the text over bytes of its zlib compression; above about 2.4 it repeats itself."""
        data = self.text.encode()
        return len(data) / len(zlib.compress(data))

    def silent(self, options: DecodingOptions) -> bool:
        """Whether the model's no-speech token says silence and the text is not trusted either.

        The reference stops there and lets two kinds of noise through, both of which real speech does not resemble:
        faint hiss, which yields a confident "you" at a no-speech probability near 1, so half way from the threshold
        to 1 is enough alone; and noise that failed at every temperature, where half of the threshold is enough.
        """
        if options.unlikely_threshold is not None and self.avg_logprob < options.unlikely_threshold:
            return True
        if options.no_speech_threshold is None or self.no_speech_prob is None:
            return False
        least = options.no_speech_threshold
        if options.no_speech_tilt is not None:
            # A line, calibrated for the model: the less likely the text, the less the no-speech token has to say.
            odds = log_odds(np.array([self.no_speech_prob, least]))
            return bool(odds[0] > odds[1] + options.no_speech_tilt * self.avg_logprob)
        if options.log_prob_threshold is not None:
            if self.avg_logprob > options.log_prob_threshold:
                least = (1 + least) / 2
            elif self.failed or 0 < self.temperature == options.temperatures[-1]:
                least = least / 2
        return self.no_speech_prob > least

    def repeats(self, options: DecodingOptions) -> bool:
        """Whether the text repeats itself."""
        most = options.compression_ratio_threshold
        return self.looped or (most is not None and self.compression_ratio > most)

    def doubtful(self, options: DecodingOptions) -> bool:
        """Worth another attempt at a higher temperature."""
        unlikely = options.log_prob_threshold is not None and self.avg_logprob < options.log_prob_threshold
        return (self.repeats(options) or unlikely) and not self.silent(options)


def decode(
    session: DecoderSession, state: State, prompts: Sequence[Sequence[int]], tokenizer: Tokenizer,
    options: DecodingOptions, timestamps: bool,
) -> list[Decoded]:  # fmt: skip
    """Decode every encoded clip of `state`, each from its prompt (all of one length).

    Raises:
        SecateurError: the prompts leave no room for text.
    """
    config = session.config
    table = np.array(prompts, np.int64)
    most = min(options.max_tokens or MOST_TOKENS, config.text_context - table.shape[1])
    if most < 1:
        raise SecateurError(f"a prompt of {table.shape[1]} tokens fills the text context of {config.text_context}")
    no_speech: list[float] | list[None] = [None] * len(table)
    asks = options.no_speech_threshold is not None and config.tokens.no_speech is not None
    # The start token's own output says whether anyone speaks, so the prompt goes in as two pieces.
    split = int(np.flatnonzero(table[0] == config.tokens.start)[-1]) + 1 if asks else 0
    if on_device(session, options, timestamps):
        logits, state, silence = session.prompted(table, state, split, config.tokens.no_speech or 0)  # type: ignore[attr-defined]
        no_speech, table = silence.tolist() if asks else no_speech, table[:, :0]
    elif asks:
        logits, state = session.step(table[:, :split], state)
        no_speech = np.exp(logits[:, config.tokens.no_speech] - log_sum_exp(logits)).tolist()
        table = table[:, split:]
    if table.shape[1]:
        logits, state = session.step(table, state)
    never = tokenizer.numbers if options.numbers_as_words else ()
    rules = Rules.of(config.tokens, config.vocabulary, timestamps, never)
    fusion = fusion_of(options, tokenizer)
    attempts: list[list[Decoded]] = [[] for _ in prompts]
    rows = np.arange(len(prompts))
    for temperature in options.temperatures:
        check_cancelled()
        complete = len(rows) == len(prompts)
        part, first_logits = (state, logits) if complete else (session.pick(state, rows), logits[rows])
        hypotheses = _search(session, part, first_logits, rules, most, temperature, options, fusion)
        for row, hypothesis in zip(rows.tolist(), hypotheses, strict=True):
            # A loop is cut and decoded again; what is left of it stands if nothing better comes.
            # With timestamps, what comes after a loop has a time of its own, and stays.
            kept = first_rounds(hypothesis.tokens) if timestamps else range(len(cut_loops(hypothesis.tokens)))
            tokens = tuple(hypothesis.tokens[place] for place in kept)
            text = tokenizer.decode(tokens).strip()
            each = tuple(hypothesis.log_probs[place] for place in kept)
            looped = len(tokens) < len(hypothesis.tokens)
            mean = sum(each) / max(1, len(each)) if looped else hypothesis.mean
            attempts[row].append(Decoded(tokens, text, mean, no_speech[row], temperature, each, looped=looped))
        rows = np.array([row for row in rows.tolist() if attempts[row][-1].doubtful(options)], np.int64)
        if not len(rows):
            break
    return [_best(tried, options) for tried in attempts]


def on_device(session: DecoderSession, options: DecodingOptions, timestamps: bool) -> bool:
    """Whether logits stay on the device: tokens are chosen there, by rules that know no timestamps and no beams."""
    return isinstance(session, DeviceDecoder) and not timestamps and options.beam == 1 and not options.lm


def _best(attempts: list[Decoded], options: DecodingOptions) -> Decoded:
    """The last of the attempts if it is in order; else the likeliest of those that do not repeat themselves.

    The reference takes the last one whatever it is: at temperature 1 that is mostly invented.
    """
    if not attempts[-1].doubtful(options):
        return attempts[-1]
    best = max(attempts, key=lambda one: (not one.repeats(options), one.avg_logprob))
    return replace(best, failed=len(attempts) > 1)


def _search(
    session: DecoderSession, state: State, logits: Floats, rules: Rules, most: int, temperature: float,
    options: DecodingOptions, fusion: WordFusion | None,
) -> list[Hypothesis]:  # fmt: skip
    """One hypothesis a row: greedy or beams at temperature 0, else the best of some samples."""
    device = session if isinstance(session, DeviceDecoder) and on_device(session, options, rules.timestamps) else None
    if temperature == 0:
        if device is not None and fusion is None:
            return device.roll(state, logits, rules, most)
        if options.beam == 1 and fusion is None:
            return greedy(session, state, logits, rules, most)
        beam = options.beam if options.beam > 1 else FUSION_BEAM
        return beam_search(session, state, logits, rules, most, beam, options.patience, options.length_penalty, fusion)
    tries = options.best_of
    generators = [np.random.default_rng([options.seed, k]) for _ in range(len(logits)) for k in range(tries)]
    rows = np.repeat(np.arange(len(logits)), tries)
    if tries > 1:
        state, logits = session.pick(state, rows), logits[rows]
    if device is not None:
        draws = np.stack([generator.random(most) for generator in generators])
        drawn = device.roll(state, logits, rules, most, temperature, draws)
    else:
        drawn = sample(session, state, logits, rules, most, temperature, generators)
    return [max(drawn[i : i + tries], key=lambda one: one.mean) for i in range(0, len(drawn), tries)]
