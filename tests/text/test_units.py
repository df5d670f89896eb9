"""Units spell what error rates compare, and survive their file."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from secateur.base.errors import SecateurError
from secateur.data.manifest import read_manifest
from secateur.models.decoding.ctc.greedy import greedy
from secateur.text.normalise import normaliser
from secateur.text.units import Units, characters_of

pytest.importorskip("whisper_normalizer")


def test_texts_of_a_real_set_come_back_normalised(speech: Path, tmp_path: Path) -> None:
    texts = [u.text for u in read_manifest(speech / "librispeech-mini" / "dev.jsonl")]
    units = characters_of(texts)
    units.write(tmp_path / "units.json")
    again = Units.read(tmp_path / "units.json")
    assert again == units and again.outputs == len(units.characters) + 1
    clean = normaliser("en")
    for text in texts:
        ids = again.encode(text)
        assert 0 not in ids and max(ids) < again.outputs
        assert again.decode(ids) == clean(text).strip()


def test_unknown_characters_are_passed_over_and_bad_files_are_one_line(tmp_path: Path) -> None:
    units = characters_of(["ab ba"])
    assert units.decode(units.encode("a b c")) == "a b"
    (tmp_path / "units.json").write_text(json.dumps({"caracters": ["a"]}))
    with pytest.raises(SecateurError, match="did you mean 'characters'"):
        Units.read(tmp_path / "units.json")
    (tmp_path / "units.json").write_text(json.dumps({"characters": ["a", "a"]}))
    with pytest.raises(SecateurError, match="single and different"):
        Units.read(tmp_path / "units.json")
    with pytest.raises(SecateurError, match="no text"):
        characters_of([""])


def test_greedy_is_the_collapse_of_the_best_path() -> None:
    for path in product(range(3), repeat=5):
        collapsed = [p for i, p in enumerate(path) if p and (i == 0 or path[i - 1] != p)]
        assert greedy(np.log(np.eye(3)[list(path)] + 1e-9)) == collapsed
    assert greedy(np.zeros((0, 3))) == []
