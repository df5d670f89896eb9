"""Removal by error finds what harms a model, confirms it on other speakers, and removes it physically."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from small_models import small_whisper, transcribe_texts  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.data.manifest import Utterance  # noqa: E402
from secateur.prune.settings import ByErrorSettings  # noqa: E402
from secateur.sensitivity.by_error import VariantErrors, remove_by_error, without  # noqa: E402
from secateur.sensitivity.variants import BASELINE  # noqa: E402

CPU = torch.device("cpu")
RAW = "none"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    """Eight chirps by four speakers."""
    import soundfile

    folder = tmp_path_factory.mktemp("clips")
    made = []
    for i in range(8):
        time = np.arange(int(16000 * (0.4 + 0.05 * i))) / 16000
        path = folder / f"{i}.wav"
        soundfile.write(path, 0.3 * np.sin(2 * np.pi * (200 + 90 * i) * time), 16000)
        made.append(Utterance(str(i), path, len(time) / 16000, "the cat", speaker=f"s{i % 4}"))
    return made


def harmful(model: Any, text: Any, clips: list[Utterance]) -> tuple[str, int]:
    """A head without which a random model writes something else for most clips."""
    texts = transcribe_texts(model, text, clips)
    for group in (g for g in model.groups() if g.kind == "head" and g.units > 1):
        for head in range(group.units):
            other = [u.text for u in targets(model, text, clips, group.name, head)]
            if sum(a != b and b != "a" for a, b in zip(texts, other, strict=True)) >= 7:
                return group.name, head
    raise AssertionError("no head matters")


def targets(model: Any, text: Any, clips: list[Utterance], group: str, head: int) -> list[Utterance]:
    """The clips with what the model without one head makes of them as their transcripts."""
    from secateur.sensitivity.variants import Variant

    small = without(model, Variant("x", "head", "", "", 1.0, {group: (head,)}))
    texts = transcribe_texts(small, text, clips)
    return [replace(u, text=t or "a") for u, t in zip(clips, texts, strict=True)]


@pytest.fixture(scope="module")
def told(clips: list[Utterance]) -> list[Utterance]:
    """The clips, with the texts of a model that has lost a head."""
    torch.set_num_threads(1)
    model, text = small_whisper()
    return targets(model, text, clips, *harmful(model, text, clips))


def test_a_head_whose_removal_gives_the_right_text_goes_for_good(told: list[Utterance]) -> None:
    model, text = small_whisper()
    select = [u for u in told if u.speaker in ("s0", "s1")]
    held = [u for u in told if u.speaker in ("s2", "s3")]
    settings = ByErrorSettings(most=1, kinds=("head",), tried=3)
    small, removed = remove_by_error(model, text, select, held, {"kept": held}, settings, CPU, RAW)
    assert len(removed) == 1 and removed[0].selected[1] < removed[0].selected[0]
    assert removed[0].held_out[1] < removed[0].held_out[0]
    assert (
        sum(w.attention.heads for w in small.config.encoder)
        + sum(w.self_attention.heads + w.cross_attention.heads for w in small.config.decoder)
        == 19 - 1
    )
    evaluator = VariantErrors(small, text, {"held": held}, CPU, RAW)
    assert evaluator.rates("held", [BASELINE])[0] == pytest.approx(removed[0].held_out[1])
    # The same removal is refused where it would make something else worse that is to be kept.
    texts = transcribe_texts(model, text, told)
    right = [replace(u, text=t or "a") for u, t in zip(told, texts, strict=True)]
    _, kept = remove_by_error(model, text, select, held, {"known": right}, settings, CPU, RAW)
    assert all(one.kept["known"][1] <= one.kept["known"][0] + 0.002 for one in kept)
    assert not kept or kept[0].site != removed[0].site


def test_nothing_goes_where_everything_is_right(clips: list[Utterance]) -> None:
    model, text = small_whisper()
    texts = transcribe_texts(model, text, clips)
    right = [replace(u, text=t or "a") for u, t in zip(clips, texts, strict=True)]
    same, removed = remove_by_error(
        model, text, right[0::2], right[1::2], {}, ByErrorSettings(most=2, kinds=("head",)), CPU, RAW
    )
    assert removed == [] and same is model


def test_what_is_wrong_is_one_line(clips: list[Utterance]) -> None:
    model, text = small_whisper()
    with pytest.raises(SecateurError, match="share speakers"):
        remove_by_error(model, text, clips, clips, {}, ByErrorSettings(), CPU)
    with pytest.raises(SecateurError, match="no 'heads' can be removed"):
        ByErrorSettings(kinds=("heads",))
