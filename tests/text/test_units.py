"""Units of every kind spell texts as they are spoken, survive their file, and read back what was said."""

from __future__ import annotations

import io
import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import secateur
from secateur.base.errors import SecateurError
from secateur.data.manifest import read_manifest
from secateur.decode.ctc.words import greedy
from secateur.text.normalise import normaliser, spoken
from secateur.text.phones import LETTERS, PHONES, Phones, by_letters, read_dictionary
from secateur.text.pieces import START, Pieces, pieces_of
from secateur.text.tokenizer import Tokenizer
from secateur.text.units import KINDS, characters_of, make_units, read_units

pytest.importorskip("whisper_normalizer")


@pytest.fixture(scope="module")
def texts(speech: Path) -> list[str]:
    return [u.text for u in read_manifest(speech / "librispeech-mini" / "train.jsonl")][:300]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "pinyin"])  # see test_pinyin
def test_texts_of_a_real_set_come_back(kind: str, texts: list[str], tmp_path: Path) -> None:
    if kind != "characters":
        pytest.importorskip({"phones": "pocketsphinx", "pieces": "sentencepiece"}[kind])
    units = make_units(kind, texts, count=100)
    units.write(tmp_path / "units.json")
    again = read_units(tmp_path / "units.json")
    assert again == units and len(again.begins()) == again.outputs
    clean, same = normaliser("en"), 0
    for text in texts:
        ids = again.encode(text)
        assert 0 not in ids and max(ids) < again.outputs
        if kind != "phones":  # homophones are read back as the more frequent of them
            assert again.decode(ids) == spoken(text)
            assert clean(again.decode(ids)) == clean(text)
        same += sum(a == b for a, b in zip(again.decode(ids).split(), spoken(text).split(), strict=True))
        spelled = [again.spellings(word)[0] for word in spoken(text).split()]
        between = [] if again.boundary is None else [again.boundary]
        assert ids == [i for k, word in enumerate(spelled) for i in (between if k else []) + list(word)]
    assert same > 0.9 * sum(len(spoken(text).split()) for text in texts)


def test_numbers_stay_words() -> None:
    units = characters_of(["Zero three, FIVE one; don't!"])
    assert units.decode(units.encode("Zero three, FIVE one; don’t!")) == "zero three five one don't"


def test_pieces_are_cut_as_sentencepiece_cuts_them(texts: list[str]) -> None:
    library = pytest.importorskip("sentencepiece")
    lines, model = [spoken(t) for t in texts], io.BytesIO()
    library.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=121, model_type="unigram",
        character_coverage=1.0, normalization_rule_name="identity", hard_vocab_limit=False, bos_id=-1, eos_id=-1,
        unk_id=0, num_threads=1, minloglevel=2,
    )  # fmt: skip
    theirs = library.SentencePieceProcessor(model_proto=model.getvalue())
    ours = pieces_of(texts, 120)
    assert set(ours.pieces) == {theirs.id_to_piece(i) for i in range(121)} - {theirs.id_to_piece(theirs.unk_id())}
    for line in lines:
        assert [ours.pieces[i - 1] for i in ours.encode(line)] == theirs.encode(line, out_type=str)


def test_words_that_the_dictionary_lacks_are_said_by_their_letters(tmp_path: Path) -> None:
    assert all(set(said.split()) <= set(PHONES) for said in LETTERS.values())
    assert by_letters("shoebox") == "SH AA EH B AA K S"
    units = Phones({"read": ("R EH D", "R IY D"), "red": ("R EH D",)})
    assert len(units.spellings("read")) == 2 and units.spellings("zot") == [tuple(units.encode("zot"))]
    assert units.decode(units.encode("red")) == "read"  # a homophone, the first in the dictionary
    (tmp_path / "own.dict").write_text("read R EH1 D\nread(2) R IY1 D\n")
    assert read_dictionary(tmp_path / "own.dict") == {"read": ("R EH D", "R IY D")}
    (tmp_path / "bad.dict").write_text("read R EH1 D\nred R E D\n")
    with pytest.raises(SecateurError, match="line 2"):
        read_dictionary(tmp_path / "bad.dict")


def test_phones_carry_the_whole_dictionary_from_any_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.dict").write_text("read R EH1 D\nread(2) R IY1 D\nred R EH1 D\nsheep SH IY1 P\n")
    monkeypatch.setenv("SECATEUR_DICTIONARY", str(tmp_path / "own.dict"))
    units = make_units("phones", ["Red shop!", "red"])
    assert list(units.words) == ["red", "shop", "read", "sheep"]  # type: ignore[attr-defined]  # taught words come first
    assert units.decode(units.encode("read sheep")) == "red sheep"
    assert units.sounds(units.encode("read sheep")) == "R EH D SH IY P"  # type: ignore[attr-defined]
    monkeypatch.setenv("SECATEUR_DICTIONARY", str(tmp_path / "none.dict"))
    with pytest.raises(SecateurError, match=r"none\.dict: no such file"):
        make_units("phones", ["red"])


def test_tokens_with_digits_are_known() -> None:
    folder = Path(secateur.__file__).parent / "runtime" / "bundled" / "secateur-en"
    tokenizer = Tokenizer.read(folder / "tokenizer.json", 1 << 20)
    numbers, signs = set(tokenizer.numbers), "0123456789%$£€¥"
    assert {tokenizer.encode_exactly(c)[0] for c in "0123456789%$"} <= numbers
    assert not numbers & set(tokenizer.encode("twelve pounds a hundredweight"))
    assert all(set(tokenizer.decode([i])) & set(signs) for i in numbers)


def test_unknown_characters_are_passed_over_and_bad_files_are_one_line(tmp_path: Path) -> None:
    units = characters_of(["ab ba"])
    assert units.decode(units.encode("a b c")) == "a b"
    assert units.spellings("cab") == [] and len(units.spellings("ab")) == 1
    path = tmp_path / "units.json"
    for values, message in (
        ({"caracters": ["a"]}, "did you mean 'characters'"),
        ({"characters": ["a", "a"]}, "single and different"),
        ({"kind": "phone"}, "did you mean 'phones'"),
        ({"kind": "pieces", "pieces": ["a"], "scores": []}, "a score each"),
    ):
        path.write_text(json.dumps(values))
        with pytest.raises(SecateurError, match=message):
            read_units(path)
    with pytest.raises(SecateurError, match="no text"):
        characters_of([""])
    with pytest.raises(SecateurError, match="English so far"):
        make_units("phones", ["ja"], "de")


def test_pieces_pass_over_what_they_lack() -> None:
    pieces = Pieces((START, "a", "b", "ab"), (-1.0, -3.0, -3.0, -2.0))
    assert [pieces.pieces[i - 1] for i in pieces.encode("abzb")] == [START, "ab", "b"]
    assert pieces.spellings("abz") == [] and pieces.decode(pieces.encode("ab ba")) == "ab ba"


def test_greedy_is_the_collapse_of_the_best_path() -> None:
    for path in product(range(3), repeat=5):
        collapsed = [p for i, p in enumerate(path) if p and (i == 0 or path[i - 1] != p)]
        assert greedy(np.log(np.eye(3)[list(path)] + 1e-9)) == collapsed
    assert greedy(np.zeros((0, 3))) == []
