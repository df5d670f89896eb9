"""A vocabulary of pieces that is cut: what its texts are made of is spelled as before, everything else somehow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
from small_moonshine import WORDS, tokenizer_values

from secateur.families.moonshine.folder import read_pieces
from secateur.text.pieces_tokenizer import PieceTokenizer


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> PieceTokenizer:
    values = tokenizer_values()
    path = tmp_path_factory.mktemp("pieces") / "tokenizer.json"
    path.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")
    assert len(values["model"]["merges"]) > len({"".join(m.split(" ")) for m in values["model"]["merges"]})
    return read_pieces(path, 1, 2, len(values["model"]["vocab"]) + 5)[0]


def test_a_cut_vocabulary_spells_its_texts_as_before(pieces: PieceTokenizer) -> None:
    texts = [" ".join(WORDS[i::4]) for i in range(4)]
    for text in texts:
        ids = pieces.encode(text)
        kept = pieces.closed(ids)
        small = pieces.reduced(kept, len(kept))
        assert [kept[i] for i in small.encode(text)] == ids and small.decode(small.encode(text)) == text
        assert len(kept) < pieces.end


def test_what_no_piece_spells_is_bytes(pieces: PieceTokenizer) -> None:
    kept = pieces.closed(pieces.encode("zero one"))
    for one in (pieces, pieces.reduced(kept, len(kept))):
        ids = one.encode("Zoë, 5 €")
        assert one.decode(ids) == "Zoë, 5 €" and all(i < one.end for i in ids)
        # Half a character is no character yet.
        assert one.decode(one.encode("ë")[:2]).endswith("\ufffd")


def test_pieces_are_spelled_in_bytes(pieces: PieceTokenizer) -> None:
    spelled = pieces.spelled()
    assert sorted(spelled) == list(range(pieces.end))
    assert b"".join(spelled[i] for i in pieces.encode("Zoë, nine €")) == " Zoë, nine €".encode()


def test_parents_are_the_merge_that_a_piece_is_made_by(pieces: PieceTokenizer) -> None:
    names = {i: name for name, i in json.loads(pieces.definition)["model"]["vocab"].items()}
    parents = pieces.parents()
    assert parents and all(names[a] + names[b] == names[i] for i, (a, b) in parents.items())
    assert pieces.spelled_like(pieces.encode("one")) and set(
        "".join(names[i] for i in pieces.spelled_like(pieces.encode("one")))
    ) <= set("▁one")


def test_it_is_read_again(pieces: PieceTokenizer, tmp_path: Path) -> None:
    pieces.write(tmp_path / "tokenizer.json")
    again = PieceTokenizer.read(tmp_path / "tokenizer.json", pieces.end)
    assert again.encode("we call it bear") == pieces.encode("we call it bear")
