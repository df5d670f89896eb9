"""The pinyin helper: its loss is what it says, it is learnt beside the model, and the model stays what it was."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
for package in ("pypinyin", "jieba", "opencc", "wetext"):
    pytest.importorskip(package)

from small_ctc import small_ctc  # noqa: E402
from small_models import inputs, small_whisper  # noqa: E402
from train_small import StoppedError, run_small, small_job  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.data.manifest import Utterance  # noqa: E402
from secateur.text.pinyin_units import PinyinUnits  # noqa: E402
from secateur.train.auxiliary import (  # noqa: E402
    AuxiliaryObjective,
    load_head,
    mean_head,
    save_head,
    with_auxiliary_head,
)
from secateur.train.loss import Batch  # noqa: E402
from secateur.train.mix import plain  # noqa: E402
from secateur.train.settings import TrainSettings  # noqa: E402

TEXTS = ["重庆", "银行", "我要开灯", "好"]


def clips(languages: list[str]) -> list[Utterance]:
    return [Utterance(str(i), Path("x"), 1.0, TEXTS[i % 4], "s", languages[i]) for i in range(len(languages))]


def batch(rows: list[int]) -> Batch:
    model, _ = small_whisper()
    mel, frames, _ = inputs(model)
    count = torch.tensor([160 * int(n) for n in frames])
    return Batch(plain(rows), 3, torch.zeros(3, 14400), count, mel, frames, 0)


def test_the_loss_is_the_task_and_a_share_of_ctc_on_the_encoder() -> None:
    model, _, _, task = small_job()
    settings = TrainSettings(auxiliary="pinyin", auxiliary_weight=0.5, distillation=0.0)
    helped: Any = with_auxiliary_head(task, model, clips(["zh", "zh-CN", "en"]), settings)
    assert [len(row) for row in helped.rows] == [4, 4, 0]
    one = batch([0, 1, 2])
    found = helped(model, one, settings)
    memory, valid = model.encoder(one.features, one.frames, model.dropout)
    expected = torch.zeros(())
    for i in (0, 1):  # the third clip is English: no part in it
        n = int(valid[i].sum())
        log_probs = helped.head(memory[i : i + 1, :n]).log_softmax(-1).transpose(0, 1)
        target = torch.tensor(helped.rows[i])
        one_clip = torch.nn.functional.ctc_loss(
            log_probs, target[None], torch.tensor([n]), torch.tensor([len(target)]), reduction="sum"
        )
        expected = expected + one_clip / 8
    torch.testing.assert_close(found, task(model, one, settings) + 0.5 * expected)
    assert not model.encoder._forward_hooks


def with_head(task: Any) -> AuxiliaryObjective:
    torch.manual_seed(5)
    units = PinyinUnits(tuple("abcde"))
    return AuxiliaryObjective(task, torch.nn.Linear(24, units.outputs), units, [[1 + i % 5] for i in range(12)])


def test_a_run_with_a_helper_resumes_to_the_same_head_and_leaves_the_model_bare(tmp_path: Path) -> None:
    heads: list[AuxiliaryObjective] = []

    def wrap(task: Any) -> AuxiliaryObjective:
        heads.append(with_head(task))
        return heads[-1]

    whole, _, log = run_small(None, wrap=wrap, auxiliary_rate=2.0, steps=12)
    with pytest.raises(StoppedError):
        run_small(tmp_path, wrap=wrap, stop=6, auxiliary_rate=2.0, steps=12)
    again, _, _ = run_small(tmp_path, wrap=wrap, auxiliary_rate=2.0, steps=12)
    start = with_head(None).head.weight
    assert not torch.equal(heads[0].head.weight, start)
    assert torch.equal(heads[0].head.weight, heads[2].head.weight)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in whole.state_dict().items())
    assert whole.state_dict().keys() == small_whisper()[0].state_dict().keys()
    assert log[-1]["loss"] < log[0]["loss"]


def test_a_kept_head_comes_back(tmp_path: Path) -> None:
    assert load_head(tmp_path) is None
    helped = with_head(None)
    save_head(tmp_path, helped.head, helped.units)
    found = load_head(tmp_path)
    assert found is not None and found[1] == helped.units
    x = torch.randn(3, 24, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(found[0](x), helped.head(x), atol=2e-3, rtol=2e-3)
    (tmp_path / "pinyin_units.json").write_text('{"names": ["a"], "form": "parts", "kind": "pinyin"}')
    with pytest.raises(SecateurError, match="6 outputs, its units 2"):
        load_head(tmp_path)


def test_the_mean_of_heads_is_that_of_their_weights_and_needs_the_same_units(tmp_path: Path) -> None:
    helped = with_head(None)
    for name, factor in (("a", 1.0), ("b", 3.0)):
        head = copy.deepcopy(helped.head)
        with torch.no_grad():
            for value in head.parameters():
                value.mul_(factor)
        (tmp_path / name).mkdir()
        save_head(tmp_path / name, head, helped.units)
    mean = mean_head([tmp_path / "a", tmp_path / "b"])
    assert mean is not None and mean[1] == helped.units
    torch.testing.assert_close(mean[0].weight, 2 * helped.head.weight, atol=2e-3, rtol=2e-3)
    assert mean_head([tmp_path, tmp_path]) is None
    with pytest.raises(SecateurError, match="has no pinyin head and others have"):
        mean_head([tmp_path / "a", tmp_path])
    other = replace(helped.units, names=tuple(reversed(helped.units.names)))
    save_head(tmp_path / "b", helped.head, other)
    with pytest.raises(SecateurError, match="other units"):
        mean_head([tmp_path / "a", tmp_path / "b"])


def test_what_cannot_be_helped_is_one_line() -> None:
    settings = TrainSettings(auxiliary="pinyin")
    model, _, _, task = small_job()
    with pytest.raises(SecateurError, match="no Chinese text"):
        with_auxiliary_head(task, model, clips(["en", "en"]), settings)
    with pytest.raises(SecateurError, match="'ctc' has no encoder"):
        with_auxiliary_head(task, small_ctc("gru"), clips(["zh"]), settings)
    assert with_auxiliary_head(task, model, clips(["en"]), TrainSettings()) is task
