"""CTC models in the training loop: they learn, running statistics are part of the state, every method prunes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from ctc_small import KINDS, run_ctc  # noqa: E402
from small_ctc import CONFIGS, inputs, outputs, small_ctc  # noqa: E402
from train_small import StoppedError, clips  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.data.bank import AudioBank  # noqa: E402
from secateur.families.ctc.cost import count_parameters  # noqa: E402
from secateur.families.ctc.objective import Ctc  # noqa: E402
from secateur.prune.settings import PruneSettings  # noqa: E402
from secateur.train.loop import TrainingRun  # noqa: E402
from secateur.train.loss import Batch  # noqa: E402
from secateur.train.mix import plain  # noqa: E402
from secateur.train.prepare import Preparer  # noqa: E402
from secateur.train.settings import TrainSettings  # noqa: E402
from secateur.train.stream import Mix  # noqa: E402


@pytest.mark.parametrize("kind", ["inception", "subsampled gru", "subsampled conformer"])
def test_the_loss_goes_down(kind: str) -> None:
    _, _, log = run_ctc(None, kind, steps=60, learning_rate=1e-2, select="last", ema=0.0)
    assert log[-1]["loss"] < 0.6 * log[0]["loss"]


def test_half_of_the_blocks_answer_for_their_share() -> None:
    model = small_ctc("subsampled conformer")
    half, whole, _ = model.with_intermediate(*inputs(model))
    assert torch.equal(whole, model(*inputs(model))[0]) and not torch.equal(half, whole)
    _, _, log = run_ctc(None, "subsampled conformer", steps=60, learning_rate=1e-2, ema=0.0, intermediate_ctc=0.3)
    assert log[-1]["loss"] < 0.6 * log[0]["loss"]
    rows = [[1, 2], [3], [4]]
    features, counts = inputs(model)
    batch = Batch(plain([0, 1, 2]), 3, features[:, :, 0], counts, features, counts, 0)
    parts = [Ctc(rows)(model, batch, TrainSettings(intermediate_ctc=share)).detach() for share in (0.0, 0.3, 1.0)]
    assert float(parts[1]) == pytest.approx(0.7 * float(parts[0]) + 0.3 * float(parts[2]), rel=1e-5)
    with pytest.raises(SecateurError, match="intermediate_ctc is for networks with a Conformer"):
        run_ctc(None, "subsampled gru", steps=1, intermediate_ctc=0.3)


def test_nothing_is_hidden_before_its_time() -> None:
    bank = AudioBank(clips())
    run = TrainingRun(bank=bank, mix=Mix((1.0,) * len(bank)), objective=Ctc([]))
    settings = TrainSettings(augment=None, spec_augment_start=0.25)
    prepare, unmasked = (
        Preparer(run, s, small_ctc("gru"), 0) for s in (settings, replace(settings, spec_augment=None))
    )
    two = plain([0, 1])
    same = [torch.equal(prepare(two, step, 8).features, unmasked(two, step, 8).features) for step in (0, 1, 2, 7)]
    assert same == [True, True, False, False]


@pytest.mark.parametrize(("select", "kind"), [("best", "everything"), ("last", "inception")])
def test_statistics_are_resumed_with_the_weights(select: str, kind: str, tmp_path: Path) -> None:
    whole, _, log = run_ctc(tmp_path / "whole", kind, select=select, steps=12)
    with pytest.raises(StoppedError):
        run_ctc(tmp_path / "stopped", kind, select=select, steps=12, stop=6)
    again, _, _ = run_ctc(tmp_path / "stopped", kind, select=select, steps=12)
    state = whole.state_dict()
    assert any("running_var" in name for name in state)
    for name, value in again.state_dict().items():
        assert torch.equal(value, state[name]), name
    if select == "best":  # the result is what validation saw: weights and statistics of one moment
        best = min(entry["error"] for entry in log)
        assert -float(outputs(whole, inputs(whole)).max()) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("kind", ["everything", "subsampled gru"])
@pytest.mark.parametrize("method", ["gradual", "group-lasso", "gates"])
def test_every_method_meets_its_budget(method: str, kind: str) -> None:
    prune = PruneSettings(method=method, remove=0.3, every=2, begin=0.1, end=0.6, kinds=KINDS)
    model, pruner, _ = run_ctc(None, kind, prune, select="last", steps=14)
    small = pruner.shrunk()
    whole = count_parameters(CONFIGS[kind])["total"]
    assert 0.6 * whole < count_parameters(small.config)["total"] <= 0.7 * whole
    torch.testing.assert_close(outputs(small, inputs(model)), outputs(model, inputs(model)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("criterion", ["magnitude", "wanda"])
def test_every_criterion_ranks_every_kind(criterion: str) -> None:
    prune = PruneSettings(
        criterion=criterion, remove=0.4, every=2, begin=0.1, end=0.6, kinds=(*KINDS, "layer", "branch", "input")
    )
    model, pruner, _ = run_ctc(None, "everything", prune, select="last", steps=12)
    small = pruner.shrunk()
    assert count_parameters(small.config)["total"] <= 0.6 * count_parameters(CONFIGS["everything"])["total"]
    torch.testing.assert_close(outputs(small, inputs(model)), outputs(model, inputs(model)), rtol=1e-4, atol=1e-4)
