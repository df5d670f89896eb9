"""What a pinyin head heard, in short, scores syllables as CTC does, and survives being written down."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for package in ("opencc", "wetext", "pypinyin", "jieba"):
    pytest.importorskip(package)
from head_small import heard  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.text.head_evidence import HeadEvidence  # noqa: E402
from secateur.text.pinyin import Syllable, pinyin, syllables  # noqa: E402
from secateur.text.pinyin_units import PinyinUnits, pinyin_units  # noqa: E402

TEXTS = ("世世代代加入", "世代加入", "加入", "入代世")  # the first says a syllable twice in a row


def sounds(text: str) -> list[Syllable]:
    return [s for s in syllables(text) if isinstance(s, Syllable)]


def noise(units: PinyinUnits) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Log probabilities (frames, units): the first text in noise, with long certain blanks between."""
    logits = torch.randn(60, units.outputs, generator=torch.Generator().manual_seed(0))
    logits[:, 0] += 9.0
    for place, unit in enumerate(units.encode(TEXTS[0])):
        logits[5 * place + 2, 0] -= 8.0
        logits[5 * place + 2, unit] += 5.0
    found: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = logits.log_softmax(-1).numpy()
    return found


@pytest.mark.parametrize("form", ["parts", "numbers", "plain"])
def test_syllables_score_as_ctc_scores_them(form: str) -> None:
    units = pinyin_units(list(TEXTS), form)  # type: ignore[arg-type]
    log_probs = noise(units)
    short = HeadEvidence.of(log_probs, units)
    assert len(short.frames) < len(log_probs) / 1.5
    found = short.scores([sounds(text) for text in TEXTS])
    for text, score in zip(TEXTS, found, strict=True):
        target = torch.tensor([units.encode(text)])
        exact = -torch.nn.functional.ctc_loss(
            torch.from_numpy(log_probs)[:, None], target, torch.tensor([len(log_probs)]),
            torch.tensor([target.shape[1]]), reduction="none",
        )  # fmt: skip
        if text == TEXTS[0]:  # what was said is exact but for rounding and what is not listed
            assert score == pytest.approx(float(exact), abs=0.3)
        assert score <= found[0]
    assert short.scores([[]])[0] < found[0]


def test_it_is_written_and_read_and_says_what_was_heard() -> None:
    one = heard("世世代代加入")
    assert one.best() == pinyin("世世代代加入")
    again = HeadEvidence.read(str(one))
    assert again == one and again.best() == one.best()
    assert len(str(one)) < 600
    assert HeadEvidence.read("plain").scores([sounds("加入")])[0] < -1e6  # nothing was heard at all
    for bad in ("shi4 jie4", "parts|shi4", "letters|a:1"):
        with pytest.raises(SecateurError, match="not of a pinyin head"):
            HeadEvidence.read(bad)
