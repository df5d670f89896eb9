"""The front-end's numbers: old checkpoints, the usual ones of each kind, contradictions."""

from __future__ import annotations

from typing import Any

import pytest

from secateur.base.errors import SecateurError
from secateur.base.options import from_dict, to_dict
from secateur.features.front_end import FrontEnd, front_end


def test_an_old_checkpoint_means_what_it_meant() -> None:
    old = {"sample_rate": 16000, "window": 400, "hop": 160, "bins": 128, "kept_bins": [0, 5, 9]}
    read = from_dict(FrontEnd, old)
    assert read == FrontEnd(bins=128, kept_bins=(0, 5, 9)) and read.kind == "whisper" and read.inputs == 3


@pytest.mark.parametrize(
    "wanted",
    [FrontEnd(), front_end("fbank", 8000, energy=True), front_end("mfcc", 11025, deltas=2, kept=(0, 38), high_hz=5000)],
)
def test_written_and_read_again(wanted: FrontEnd) -> None:
    assert from_dict(FrontEnd, to_dict(wanted)) == wanted


def test_usual_numbers() -> None:
    mfcc = front_end("mfcc", 11025, deltas=2)
    assert (mfcc.window, mfcc.hop, mfcc.inputs, mfcc.top_hz) == (275, 110, 39, 5512.5)
    assert mfcc.frame_ms == pytest.approx(9.977, abs=1e-3)
    assert front_end("fbank", energy=True, deltas=1).inputs == 162
    assert FrontEnd().frame_ms == 10 and front_end("whisper", 8000) == FrontEnd(8000, 200, 80)


def test_keeping_everything_is_keeping_all() -> None:
    for whole in (FrontEnd(), front_end("mfcc", deltas=1)):
        assert whole.keeping(list(range(whole.inputs))) == whole


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("mfc", {}, "did you mean 'mfcc'"),
        ("mfcc", {"delta": 2}, "did you mean 'deltas'"),
        ("mfcc", {"deltas": 3}, "0, 1 or 2"),
        ("mfcc", {"coefficients": 24}, r"1 to bins \(23\)"),
        ("mfcc", {"kept_bins": (1,)}, "what 'mfcc' keeps in kept"),
        ("mfcc", {"kept": (13,)}, "0 to 12"),
        ("mfcc", {"kept": ()}, "at least one"),
        ("fbank", {"high_hz": 9000.0}, "do not fit 0 to 8000"),
        ("fbank", {"lifter": 22.0}, "for kind 'mfcc'"),
        ("whisper", {"deltas": 1}, "for kind 'fbank' or 'mfcc'"),
        ("whisper", {"hop": 0}, "at least 1"),
    ],
)
def test_contradictions_are_one_line(kind: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SecateurError, match=message) as caught:
        front_end(kind, **changes)
    assert "\n" not in str(caught.value)
    if kind in ("whisper", "mfcc", "fbank") and "delta" not in changes:
        with pytest.raises(SecateurError, match=message):  # in a checkpoint's or settings' file too
            from_dict(FrontEnd, {**({} if kind == "whisper" else to_dict(front_end(kind))), **changes})
