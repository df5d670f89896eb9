"""Decoding inside a grammar: on real orders with the bundled model, on CTC outputs, letter by letter."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from secateur.assistant.grammar.file import Grammar, read_grammar
from secateur.assistant.grammar.graph import Builder
from secateur.assistant.grammar.match import match
from secateur.assistant.phrases.automaton import Automaton
from secateur.assistant.phrases.ctc import search_ctc
from secateur.assistant.phrases.distance import distance
from secateur.assistant.phrases.phrases import Phrases
from secateur.assistant.phrases.search import AllowedTokens
from secateur.assistant.understand import Understanding
from secateur.audio.read import read_audio
from secateur.runtime.recogniser import Recogniser
from secateur.runtime.token_recogniser import WhisperRecogniser


def grammar_of(*templates: str) -> Grammar:
    builder = Builder({}, {})
    builder.add_intent("it", templates)
    return Grammar(builder.graph, "en", ("it",))


@pytest.fixture(scope="module")
def recogniser() -> WhisperRecogniser:
    found = Recogniser.load(threads=1)
    assert isinstance(found, WhisperRecogniser)
    return found


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        (b" turn on the lamp", True), (b"Turn ON, the lamp.", True), (b" turn-on lamp", True), (b" turn on the", False),
        (b" turn on the lam", False),
    ],
)  # fmt: skip
def test_the_automaton_reads_sentences_and_their_beginnings(text: bytes, whole: bool) -> None:
    automaton = Automaton(grammar_of("turn on [the] lamp").graph)
    place = automaton.read(automaton.start, text)
    assert place is not None
    assert automaton.ended(place) == whole


@pytest.mark.parametrize("text", [b" turn off", b"x", b" turn onn", b" turn on lamp the", b"..", b" turn on lamp!?"])
def test_the_automaton_refuses_everything_else(text: bytes) -> None:
    automaton = Automaton(grammar_of("turn on [the] lamp").graph)
    assert automaton.read(automaton.start, text) is None


def test_chinese_needs_no_spaces() -> None:
    automaton = Automaton(grammar_of("打开 [客厅] 的 灯").graph)
    place = automaton.read(automaton.start, "打开客厅的灯".encode())
    assert place is not None
    assert automaton.ended(place)
    assert automaton.read(automaton.start, "打开厨房".encode()) is None


def test_every_cut_of_a_word_into_pieces_is_allowed(recogniser: WhisperRecogniser) -> None:
    allowed = AllowedTokens(Automaton(grammar_of("espresso").graph), recogniser.tokenizer)
    todo, spellings = [((), allowed.automaton.start)], set()
    while todo:
        tokens, place = todo.pop()
        if allowed.automaton.ended(place):
            spellings.add(recogniser.tokenizer.decode(tokens).strip().lower())
        if len(tokens) < 4:
            todo += [((*tokens, int(t)), to) for t, to in zip(*allowed.following(place), strict=True)]
    assert {text.strip(".,?!;: -\n") for text in spellings} == {"espresso"}
    wanted = recogniser.tokenizer.encode("espresso")
    place = allowed.automaton.start
    for token in wanted:
        tokens, places = allowed.following(place)
        place = places[list(tokens).index(token)]
    assert allowed.automaton.ended(place)


@pytest.fixture(scope="module")
def phrases(recogniser: WhisperRecogniser) -> Phrases:
    """Phrase mode for coffee; what follows each state of a spelling is listed once for all tests."""
    return Phrases(recogniser, read_grammar("coffee"))


def test_orders_that_free_recognition_misses(recogniser: WhisperRecogniser, phrases: Phrases, speech: Path) -> None:
    """Seven recordings: at most one is misunderstood in phrase mode, and more are without it."""
    lines = (speech / "barista-commands" / "test.jsonl").read_text().splitlines()[::45]
    grammar = phrases.grammar
    free, inside = 0, 0
    for line in lines:
        row = json.loads(line)
        wanted = {key: " ".join(value.split()) for key, value in row["slots"].items()}
        samples = read_audio(speech / "barista-commands" / row["audio"], 16000)
        text = recogniser.transcribe(samples).text
        plain, phrase = match(grammar.graph, text), phrases.recognise(samples, text)
        free += plain is not None and plain.slots == wanted
        inside += phrase is not None and phrase.match.slots == wanted
    assert inside >= len(lines) - 1
    assert free < inside


def test_a_book_is_not_an_order(recogniser: WhisperRecogniser, phrases: Phrases, speech: Path) -> None:
    lines = (speech / "librispeech-mini" / "test.jsonl").read_text().splitlines()[::160][:2]
    for line in lines:
        samples = read_audio(speech / "librispeech-mini" / json.loads(line)["audio"], 16000)[: 4 * 16000]
        assert phrases.recognise(samples, recogniser.transcribe(samples).text) is None


@pytest.fixture(scope="module")
def understanding(recogniser: WhisperRecogniser) -> Understanding:
    return Understanding(recogniser, read_grammar("home", "coffee"))


def test_everyday_sentences_order_nothing(understanding: Understanding, speech: Path) -> None:
    """Short sentences of speechocean762, with both grammars: none is taken for a command, and few are searched."""
    lines = (speech / "speechocean762" / "test.jsonl").read_text().splitlines()[7::190]
    for line in lines:
        samples = read_audio(speech / "speechocean762" / json.loads(line)["audio"], 16000)
        assert understanding.audio(samples).matches == ()


def test_how_sure_it_is_is_no_constant(understanding: Understanding, speech: Path) -> None:
    lines = (speech / "barista-commands" / "test.jsonl").read_text().splitlines()[3::60]
    sure = []
    for line in lines:
        match = understanding.audio(read_audio(speech / "barista-commands" / json.loads(line)["audio"], 16000)).match
        assert match is not None
        sure.append(match.confidence)
    assert all(0.5 < one < 1 for one in sure)
    assert len(set(sure)) == len(sure)


@pytest.mark.skipif(shutil.which("flite") is None, reason="no flite on this machine")
@pytest.mark.parametrize(
    ("text", "slots"),
    [
        ("turn on the light in the attic", None), ("turn on the attic light", None), ("don't turn on the light", None),
        ("did you turn on the light", None), ("he said turn on the radio", None), ("i have turned on the light", None),
        ("turn on the light when i get home", None), ("i don't want a coffee", None),
        ("turn off all the lights", {"action": "off", "every": "all", "name": "light"}),
        ("make the kitchen light blue", {"area": "kitchen", "name": "light", "color": "blue"}),
        ("set a timer for an hour and a half", {"hours": "1", "minutes": "30"}),
    ],
)  # fmt: skip
def test_what_is_spoken_orders_what_it_says(
    understanding: Understanding, tmp_path: Path, text: str, slots: dict[str, str] | None
) -> None:
    subprocess.run(["flite", "-voice", "slt", "-t", text, "-o", str(tmp_path / "said.wav")], check=True)
    match = understanding.audio(read_audio(tmp_path / "said.wav", 16000)).match
    assert (None if match is None else match.slots) == slots


def test_ctc_search_equals_the_sum_over_all_paths() -> None:
    """Every alignment of every sentence, added up by hand."""
    characters = (" ", "a", "b")
    grammar = grammar_of("(a|ab|b a)")
    random = np.random.default_rng(3).normal(size=(5, 4))
    log_probs = random - np.log(np.exp(random).sum(1, keepdims=True))
    wanted: dict[str, float] = {}
    for path in itertools.product(range(4), repeat=5):
        merged = [unit for i, unit in enumerate(path) if unit and (i == 0 or unit != path[i - 1])]
        text = "".join(characters[unit - 1] for unit in merged)
        if text.removesuffix(" ") in ("a", "ab", "b a"):  # a space at the end is nothing that anybody hears
            score = sum(log_probs[i, unit] for i, unit in enumerate(path))
            bare = text.removesuffix(" ")
            wanted[bare] = float(np.logaddexp(wanted.get(bare, -np.inf), score))
    found = dict(search_ctc(log_probs, characters, Automaton(grammar.graph), beam=200))
    assert found == pytest.approx(wanted)


def test_distance() -> None:
    pairs = (("", "abc"), ("abc", "abc"), ("latte", "lattes"), ("ab", "ba"))
    assert [distance(*pair) for pair in pairs] == [3, 0, 1, 2]
