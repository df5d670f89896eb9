"""Whisper's normalisation rules as an error rate sees them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from secateur.base.errors import SecateurError
from secateur.text.languages import base_language
from secateur.text.normalise import normaliser

pytest.importorskip("whisper_normalizer")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Turn it ON, please!", "turn it on please"),
        ("twenty-five dollars", "$25"),
        ("I can't; it's colour.", "i can not it is color"),
        ("um [noise] yes", "yes"),
    ],
)
def test_english_that_means_the_same_is_the_same(one: str, other: str) -> None:
    normalise = normaliser("en-US")
    assert normalise(one) == normalise(other) != ""


def test_errors_survive() -> None:
    assert normaliser("en")("kate loves china") != normaliser("en")("kate love china")


def test_other_languages_keep_their_letters() -> None:
    assert normaliser("fr")("Élève, à l’école !") == "élève à l école"


def test_regions_share_rules() -> None:
    assert base_language("zh_TW") == base_language("zh") == "zh"


def test_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "whisper_normalizer.english", None)
    normaliser.cache_clear()
    with pytest.raises(SecateurError, match=r"pip install 'secateur-asr\[train\]'"):
        normaliser("en")


def test_module_imports_without_the_package() -> None:
    code = "import sys, secateur.text.normalise; sys.exit('whisper_normalizer' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
