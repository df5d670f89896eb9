"""Greedy choice, sampling and beam search over a batch of clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from .fusion import CANDIDATES, Spelling, WordFusion
from .rules import Rules, log_sum_exp
from .session import DecoderSession, Floats, Ints, State


@dataclass(frozen=True)
class Hypothesis:
    """One token row, without prompt and end, and every token's log probability (the end's too, where it ended)."""

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    fused: float = 0.0  # what a language model adds to the score

    @property
    def log_prob(self) -> float:
        """Log probability of the whole row."""
        return float(sum(self.log_probs))

    @property
    def mean(self) -> float:
        """Log probability a token, the end token counted, as the Whisper reference averages it."""
        return self.log_prob / (len(self.tokens) + 1)


def greedy(session: DecoderSession, state: State, logits: Floats, rules: Rules, most: int) -> list[Hypothesis]:
    """The likeliest token at every step.

    Args:
        logits: (batch, vocabulary), what follows the prompt that `state` has seen.
        most: tokens a row at the most.
    """
    return _roll(session, state, logits, rules, most, lambda allowed, rows: allowed.argmax(1))


def sample(
    session: DecoderSession, state: State, logits: Floats, rules: Rules, most: int, temperature: float,
    generators: Sequence[Generator],
) -> list[Hypothesis]:  # fmt: skip
    """Tokens drawn from softmax(logits / temperature); every row has its own generator, so batches change nothing."""

    def draw(allowed: Floats, rows: Ints) -> Ints:
        scaled = allowed.astype(np.float64) / temperature
        heights = np.exp(scaled - scaled.max(1, keepdims=True)).cumsum(1)
        at = [generators[row].random() * height[-1] for row, height in zip(rows, heights, strict=True)]
        return np.array([height.searchsorted(x, side="right") for x, height in zip(at, heights, strict=True)])

    return _roll(session, state, logits, rules, most, draw)


def _roll(
    session: DecoderSession,
    state: State,
    logits: Floats,
    rules: Rules,
    most: int,
    choose: Callable[[Floats, Ints], Ints],
) -> list[Hypothesis]:
    """One token a step for every row until each has ended; rows that have ended leave the batch a quarter at a time."""
    batch, end = len(logits), rules.tokens.end
    history = np.full((batch, most), end, np.int64)
    scores = np.zeros((batch, most))
    rows = np.arange(batch)  # of the batch that are still in `logits` and `state`
    for length in range(most):
        allowed = rules.apply(logits, history[rows, :length])
        chosen = choose(allowed, rows)
        going = np.ones(len(rows), bool) if length == 0 else history[rows, length - 1] != end
        chosen[~going] = end
        history[rows, length] = chosen
        gained = allowed[np.arange(len(rows)), chosen] - log_sum_exp(allowed)
        scores[rows[going], length] = gained[going]
        going = chosen != end
        if not going.any() or length + 1 == most:
            break
        if going.sum() <= 0.75 * len(rows):
            kept = np.flatnonzero(going)
            rows, chosen, state = rows[kept], chosen[kept], session.pick(state, kept)
        logits, state = session.step(chosen[:, None], state)
    lengths = (history != end).sum(1)
    return [
        Hypothesis(tuple(history[i, :n].tolist()), tuple(scores[i, : min(n + 1, most)].tolist()))
        for i, n in enumerate(lengths.tolist())
    ]


@dataclass
class _Clip:
    """One clip's beam search: living beams (tokens, score, log probability of each, spelling) and finished ones."""

    beams: list[tuple[tuple[int, ...], float, tuple[float, ...], Spelling]] = field(
        default_factory=lambda: [((), 0.0, (), Spelling())]
    )
    finished: list[Hypothesis] = field(default_factory=list)


def beam_search(
    session: DecoderSession, state: State, logits: Floats, rules: Rules, most: int, beam: int, patience: float = 1.0,
    length_penalty: float | None = None, fusion: WordFusion | None = None,
) -> list[Hypothesis]:  # fmt: skip
    """The best of `beam` hypotheses a clip; a clip stops when `beam * patience` of them have ended.

    Args:
        logits: (batch, vocabulary), what follows the prompt that `state` has seen.
        length_penalty: None ranks by mean log probability; else by log probability / ((5 + n) / 6) ** penalty.
        fusion: adds what a language model says to log probabilities, in the search and in the ranking.
    """
    clips = [_Clip() for _ in range(len(logits))]
    enough = max(1, round(beam * patience))
    alive = list(range(len(clips)))  # clips, in the order of their beams in `logits`
    for _ in range(most):
        history = np.array([tokens for i in alive for tokens, *_ in clips[i].beams], np.int64)
        allowed = rules.apply(logits, history.reshape(len(logits), -1))
        offset, sources, next_alive = 0, [], []
        totals = log_sum_exp(allowed)
        for i in alive:
            count = len(clips[i].beams)
            part = slice(offset, offset + count)
            parents = _advance(clips[i], allowed[part], totals[part], beam, enough, rules.tokens.end, fusion)
            if len(clips[i].finished) < enough and parents:
                next_alive.append(i)
                sources += [offset + p for p in parents]
            offset += count
        alive = next_alive
        if not alive or len(clips[alive[0]].beams[0][0]) == most:
            break
        if sources != list(range(len(logits))):
            state = session.pick(state, np.array(sources))
        last = np.array([[tokens[-1]] for i in alive for tokens, *_ in clips[i].beams])
        logits, state = session.step(last, state)
    return [_best(clip, beam, length_penalty) for clip in clips]


def _advance(
    clip: _Clip, allowed: Floats, totals: Floats, beam: int, enough: int, end: int, fusion: WordFusion | None
) -> list[int]:
    """Replace the clip's beams by their best continuations; returns each new beam's parent (an index of the old)."""
    candidates = []
    width = min(beam + 1 if fusion is None else max(beam + 1, CANDIDATES), allowed.shape[1])
    for parent, (_, score, _, spelling) in enumerate(clip.beams):
        for token in np.argpartition(allowed[parent], -width)[-width:].tolist():
            gained = float(allowed[parent, token] - totals[parent])
            if gained > -np.inf:
                further, then = 0.0, spelling
                if fusion is not None and token == end:
                    further = fusion.end(spelling)
                elif fusion is not None:
                    further, then = fusion.after(spelling, token)
                candidates.append((score + gained + further, gained, parent, token, then))
    candidates.sort(key=lambda candidate: -candidate[0])
    beams, parents = [], []
    for score, gained, parent, token, then in candidates:
        tokens, _, log_probs, _ = clip.beams[parent]
        each = (*log_probs, gained)
        if token == end:
            if len(clip.finished) < enough:
                clip.finished.append(Hypothesis(tokens, each, score - sum(each) if fusion is not None else 0.0))
        else:
            beams.append(((*tokens, token), score, each, then))
            parents.append(parent)
            if len(beams) == beam:
                break
    clip.beams = beams
    return parents


def _best(clip: _Clip, beam: int, length_penalty: float | None) -> Hypothesis:
    """The highest ranked finished hypothesis; living beams count where too few have finished."""
    missing = max(0, beam - len(clip.finished))
    every = clip.finished + [
        Hypothesis(tokens, each, score - sum(each)) for tokens, score, each, _ in clip.beams[:missing]
    ]

    def rank(hypothesis: Hypothesis) -> float:
        length = max(1, len(hypothesis.tokens))
        return (hypothesis.log_prob + hypothesis.fused) / (
            length if length_penalty is None else ((5 + length) / 6) ** length_penalty
        )

    return max(every, key=rank)
