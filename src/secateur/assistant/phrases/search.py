"""Phrase mode: a beam over the sentences of a grammar, each scored by the recogniser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...base.errors import SecateurError
from ...base.progress import check_cancelled
from ...decode.clips import audible, encode_clips, has_speech
from ...decode.fallback import decode
from ...decode.options import DecodingOptions
from ...decode.rules import log_sum_exp
from ...decode.segments import Audio, confidence
from ...decode.session import DecoderSession, Floats
from ...runtime.token_recogniser import WhisperRecogniser
from ...text.tokenizer import Tokenizer
from ..grammar.file import Grammar
from .automaton import BREAKS, SIGNS, Automaton, SpellingState

Trie = dict[Any, Any]  # byte -> Trie; None -> the token that ends here


SILENCE = 1.0  # seconds of near silence from which the internal language model is read
ONCE = DecodingOptions(timestamps=False, temperatures=(0.0,))  # a command is short: one attempt
UNSURE = -log(2)  # log probability of a token below which it may well be another; everyday openings are above
FAINT = 1e-3  # its level: digital zero is not something a model was trained on


class AllowedTokens:
    """The tokens that lead on from a state of the automaton, listed once for every state.

    Words that a reduced vocabulary lacks are spelled from the pieces it has: every cut of a word is allowed, and the
    search finds the likeliest.
    """

    def __init__(self, automaton: Automaton, tokenizer: Tokenizer) -> None:
        self.automaton = automaton
        spelled = tokenizer.spelled()
        self._letters = {token: _letters(data) for token, data in spelled.items()}
        self._trie = _trie(spelled)
        self._known: dict[SpellingState, tuple[NDArray[np.int64], list[SpellingState]]] = {}

    def following(self, spelling: SpellingState) -> tuple[NDArray[np.int64], list[SpellingState]]:
        """Token ids (n,) that may follow, and the state that each leads to."""
        result = self._known.get(spelling)
        if result is None:
            pairs: list[tuple[int, SpellingState]] = []
            self._walk(self._trie, spelling, pairs)
            result = np.array([token for token, _ in pairs], np.int64), [to for _, to in pairs]
            self._known[spelling] = result
        return result

    def letters(self, token: int) -> bytes:
        """What a token spells in the grammar's eyes: lower case, spaces for hyphens, no signs."""
        return self._letters[token]

    def _walk(self, trie: Trie, spelling: SpellingState, pairs: list[tuple[int, SpellingState]]) -> None:
        for byte, branch in trie.items():
            if byte is None:
                pairs.append((branch, spelling))
                continue
            to = self.automaton.read(spelling, bytes([byte]))
            if to is not None:
                self._walk(branch, to, pairs)


def _trie(spelled: dict[int, bytes]) -> Trie:
    root: Trie = {}
    for token, data in spelled.items():
        node = root
        for byte in data:
            node = node.setdefault(byte, {})
        node[None] = token
    return root


def _letters(data: bytes) -> bytes:
    return bytes(32 if byte in BREAKS else byte for byte in data.lower() if byte not in SIGNS)


@dataclass(frozen=True)
class Sentence:
    """A sentence of the grammar and its log probability given the audio, the end included."""

    text: str
    tokens: tuple[int, ...]
    log_prob: float


@dataclass(frozen=True)
class Begun:
    """One clip, encoded once, and what the recogniser writes without a grammar.

    Attributes:
        free: that text; empty where nobody speaks.
        log_prob: of it, its end included.
        confidence: the mean probability of its tokens; None where nobody speaks.
        seen: what the search goes on from.
        tokens, log_probs: the text's tokens and the log probability of each, where the model writes tokens.
    """

    free: str
    log_prob: float
    confidence: float | None
    seen: Any
    tokens: tuple[int, ...] = ()
    log_probs: tuple[float, ...] = ()

    @property
    def unsure(self) -> int:
        """1 where the first word has at most one half of the probability, else 0."""
        return int(bool(self.log_probs) and self.log_probs[0] < UNSURE)


@dataclass(frozen=True)
class _Path:
    tokens: tuple[int, ...]
    letters: bytes
    spelling: SpellingState
    log_prob: float


@dataclass(frozen=True)
class Breadth:
    """How far a search looks.

    Attributes:
        beam: paths that are kept at every step.
        below: a path this many nats below the best path of its length is given up.
        floor: so is one this many nats below what the recogniser wrote without a grammar, so that speech that is no
            command ends the search after a few tokens.
        back: tokens before the point where the free text leaves the grammar, from which the search begins; None: all.
        margin: a path this many nats below the best whole sentence is given up.
    """

    beam: int
    below: float
    floor: float
    back: int | None
    margin: float = 10.0


class PhraseSearch:
    """Finds the sentences of a grammar that audio is likeliest to be.

    Probabilities are the decoder's own over its whole vocabulary: a sentence that audio does not hold stays unlikely,
    though the grammar has nothing better. Of paths that spell the same with other pieces, the likeliest goes on with
    the probability of all.

    Args:
        prompt: the ids that decoding starts from (see `Tokens.prompt`).
        beam: paths that are kept at every step, twice as many in a wide search.
    """

    def __init__(
        self,
        session: DecoderSession,
        allowed: AllowedTokens,
        tokenizer: Tokenizer,
        prompt: Sequence[int],
        beam: int = 8,
    ) -> None:
        self.session, self.allowed, self.tokenizer, self.prompt = session, allowed, tokenizer, list(prompt)
        self.near, self.wide = Breadth(beam, 5.0, 18.0, 3), Breadth(2 * beam, 9.0, 24.0, None)
        self._end = session.config.tokens.end
        rate = session.config.front_end.sample_rate
        noise = FAINT * np.random.default_rng(0).standard_normal(round(SILENCE * rate))
        state = encode_clips(session, [noise.astype(np.float32)])
        self._silence = session.step(np.array([self.prompt], np.int64), state)

    def begin(self, audio: Audio) -> Begun:
        """Encode one clip (samples,) of at most one window, and write what it says."""
        if not audible(audio):
            return Begun("", 0.0, None, None)
        state = encode_clips(self.session, [audio])
        result = decode(self.session, state, [self.prompt], self.tokenizer, ONCE, timestamps=False)[0]
        total = result.avg_logprob * (len(result.tokens) + 1)
        text = result.text if has_speech(result, ONCE) else ""
        sure = confidence(result.log_probs) if text else None
        return Begun(text, total, sure, state, result.tokens, result.log_probs)

    def search(self, begun: Begun, wide: bool = False) -> list[Sentence]:
        """Whole sentences for a clip, the likeliest first; none where all are far below `begun.log_prob`.

        A wide search finds what a near one does not, at several times the cost.
        """
        if begun.seen is None:
            return []
        breadth = self.wide if wide else self.near
        begin = self._shared(begun, breadth.back)
        logits, state = self.session.step(np.array([[*self.prompt, *begin.tokens]], np.int64), begun.seen)
        floor = begun.log_prob - breadth.floor
        paths = [begin]
        done: dict[str, Sentence] = {}
        top = -np.inf
        for _ in range(self.session.config.text_context - len(self.prompt) - len(begin.tokens) - 1):
            check_cancelled()
            logp = logits - log_sum_exp(logits)[:, None]
            for path, row in zip(paths, logp, strict=True):
                if path.tokens and self.allowed.automaton.ended(path.spelling):
                    self._finish(done, path, path.log_prob + float(row[self._end]))
            top = max((sentence.log_prob for sentence in done.values()), default=top)
            grown = self._grown(paths, logp, breadth.beam)
            best = max((path.log_prob for path, _ in grown), default=-np.inf)
            least = max(top - breadth.margin, best - breadth.below, floor)
            grown = [one for one in grown if one[0].log_prob > least]
            if not grown:
                break
            paths = [path for path, _ in grown]
            state = self.session.pick(state, np.array([parent for _, parent in grown]))
            logits, state = self.session.step(np.array([[path.tokens[-1]] for path in paths]), state)
        return sorted(done.values(), key=lambda sentence: -sentence.log_prob)

    def expected(self, sentences: Sequence[Sentence]) -> list[float]:
        """log p of each sentence, its end left out, given near silence: the decoder's internal language model.

        (Meng et al. 2021, arXiv 2011.01991, with faint noise in place of a zeroed encoder.)
        """
        if not sentences:
            return []
        first, state = self._silence
        rows = np.zeros(len(sentences), np.int64)
        logits, state = first[rows], self.session.pick(state, rows)
        totals = np.zeros(len(sentences))
        longest = max(len(sentence.tokens) for sentence in sentences)
        table = np.full((len(sentences), longest), self._end, np.int64)
        for row, sentence in zip(table, sentences, strict=True):
            row[: len(sentence.tokens)] = sentence.tokens
        for step in range(longest):
            logp = logits - log_sum_exp(logits)[:, None]
            real = table[:, step] != self._end
            totals[real] += logp[real, table[real, step]]
            if step + 1 < longest:
                logits, state = self.session.step(table[:, step : step + 1], state)
        return [float(total) for total in totals]

    def _shared(self, begun: Begun, back: int | None) -> _Path:
        """As much of the free text as a sentence of the grammar begins with, its last tokens left out.

        Free text goes wrong where it leaves the grammar, or shortly before: the search begins there.
        """
        if back is None:
            return _Path((), b"", self.allowed.automaton.start, 0.0)
        spellings = [self.allowed.automaton.start]
        for token in begun.tokens:
            tokens, following = self.allowed.following(spellings[-1])
            at = np.flatnonzero(tokens == token)
            if not len(at):
                break
            spellings.append(following[int(at[0])])
        count = max(0, len(spellings) - 1 - back)
        letters = b"".join(self.allowed.letters(token) for token in begun.tokens[:count])
        return _Path(begun.tokens[:count], letters, spellings[count], sum(begun.log_probs[:count]))

    def _finish(self, done: dict[str, Sentence], path: _Path, log_prob: float) -> None:
        text = " ".join(path.letters.decode("utf-8", "replace").split())
        known = done.get(text)
        if known is None:
            done[text] = Sentence(text, path.tokens, log_prob)
        else:
            likelier = known.tokens if known.log_prob >= log_prob else path.tokens
            done[text] = Sentence(text, likelier, float(np.logaddexp(known.log_prob, log_prob)))

    def _grown(self, paths: list[_Path], logp: Floats, beam: int) -> list[tuple[_Path, int]]:
        """The best paths one token longer, with the row that each came from."""
        candidates: list[tuple[float, int, int]] = []
        for i, (path, row) in enumerate(zip(paths, logp, strict=True)):
            tokens, _ = self.allowed.following(path.spelling)
            totals = path.log_prob + row[tokens]
            few = np.argpartition(-totals, beam)[:beam] if len(totals) > beam else range(len(totals))
            candidates += [(float(totals[j]), i, int(j)) for j in few]
        candidates.sort(reverse=True)
        kept: dict[tuple[SpellingState, bytes], tuple[_Path, int]] = {}
        for log_prob, i, j in candidates:
            tokens, spellings = self.allowed.following(paths[i].spelling)
            token = int(tokens[j])
            letters = paths[i].letters + self.allowed.letters(token)
            key = (spellings[j], letters)
            if key in kept:
                same, parent = kept[key]
                both = float(np.logaddexp(same.log_prob, log_prob))
                kept[key] = _Path(same.tokens, letters, same.spelling, both), parent
            elif len(kept) < beam:
                kept[key] = _Path((*paths[i].tokens, token), letters, spellings[j], log_prob), i
            else:
                break
        return list(kept.values())


def search_of(recogniser: WhisperRecogniser, grammar: Grammar, beam: int) -> PhraseSearch:
    """The search of an encoder-decoder for the sentences of `grammar`.

    Raises:
        SecateurError: it does not know the grammar's language.
    """
    try:
        prompt = recogniser.config.tokens.prompt(grammar.language)
    except ValueError as problem:
        raise SecateurError(f"the grammar is for '{grammar.language}', and {problem}") from problem
    allowed = AllowedTokens(Automaton(grammar.graph), recogniser.tokenizer)
    return PhraseSearch(recogniser.session, allowed, recogniser.tokenizer, prompt, beam)
