"""Layer drop skips whole layers; early-bird tickets are drawn when the ranking stands still."""

from __future__ import annotations

import pytest
import torch
from small_models import inputs, small_whisper
from soft_runs import run_soft, settings_for

from secateur.base.errors import SecateurError
from secateur.prune.budget import Keep
from secateur.prune.importance import Evidence
from secateur.prune.method import make_method
from secateur.prune.shrink import shrink
from secateur.prune.soft.early_bird import WINDOW, EarlyBird
from secateur.prune.soft.layer_drop import LayerDrop
from secateur.prune.units import COSTS


def test_a_skipped_layer_is_not_there_and_learns_nothing() -> None:
    model, _ = small_whisper()
    start, _ = small_whisper()
    method = LayerDrop(model, settings_for("layer-drop", begin=0.0, layer_drop=0.5), COSTS["parameters"](model.config))
    skipped_some = False
    for step in range(6):
        torch.manual_seed(step)
        method.before_forward(step, 100)
        assert method.gates is not None
        alive = method.gates.bool().tolist()
        if all(alive) or not any(alive[:3]) or not any(alive[3:]):
            method.gates = None
            method.gating.write(None)
            continue
        skipped_some = True
        method.before_forward(step, 100)  # a second micro-batch of the step: the same layers
        assert method.gates.bool().tolist() == alive
        keep = {
            "encoder.layers": [i for i in range(3) if alive[i]],
            "decoder.layers": [i for i in range(2) if alive[3 + i]],
        }
        logits = model(*inputs(model))
        torch.testing.assert_close(logits, shrink(start, keep)(*inputs(model)), rtol=1e-4, atol=1e-5)
        model.zero_grad()
        logits.square().mean().backward()
        method.after_backward(step, 100)
        for i, layer in enumerate((*model.encoder.layers, *model.decoder.layers)):
            slopes = [p.grad.abs().sum() for p in layer.parameters() if p.grad is not None]
            assert (float(torch.stack(slopes).sum()) > 0) == alive[i]
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), start.parameters(), strict=True))
    assert skipped_some


def test_the_layers_that_are_missed_least_go() -> None:
    _, pruner, _ = run_soft(settings_for("layer-drop"))
    assert isinstance(pruner, LayerDrop)
    missed = (pruner.sums / pruner.steps_kept).sqrt()
    gone = set(range(3)) - set(pruner.keep["encoder.layers"])
    assert gone == {int(missed[:3].argmin())}
    assert (pruner.steps_kept > 0).all() and (
        pruner.steps_kept < 15
    ).any()  # of the 15 steps from begin to end, some were skipped
    assert len(pruner.shrunk().config.decoder) == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"amounts": {"ffn": 0.5}}, "removes whole layers only"),
        ({"layer_drop": 1.0}, "at least 0 and below 1"),
        ({"amounts": {"encoder.layer": 0.5}}, "did you mean 'encoder.layers'"),
    ],
)
def test_layer_drop_says_what_it_cannot_do(changed: dict[str, object], message: str) -> None:
    model, _ = small_whisper()
    with pytest.raises(SecateurError, match=message):
        make_method(model, settings_for("layer-drop", **changed), COSTS["parameters"](model.config))


def test_the_ticket_is_drawn_as_soon_as_the_plan_stands_still() -> None:
    """Weights that do not move have one ranking: the plan is compared with the last five and drawn."""
    prune = settings_for("early-bird", criterion="magnitude", every=2)
    _, pruner, log = run_soft(prune, learning_rate=1e-12)
    begin = 3
    assert log[-1]["ticket"] == begin + 2 * WINDOW
    assert log[-1]["distance"] == 0.0
    assert isinstance(pruner, EarlyBird)
    assert [e["kept"] < 1 for e in log] == [e["step"] >= log[-1]["ticket"] for e in log]


def test_without_a_settled_plan_the_ticket_is_drawn_at_the_end_of_the_span() -> None:
    class Restless(EarlyBird):  # type: ignore[type-arg]
        """Ranks at random, anew each time."""

        count = 0

        def rank(self, share: float, evidence: Evidence) -> Keep:
            self.count += 1
            random = torch.Generator().manual_seed(self.count)
            return self.plan(share, {g.name: torch.rand(g.units, generator=random) for g in self.groups})

    model, _ = small_whisper()
    method = Restless(model, settings_for("early-bird", criterion="magnitude"), COSTS["parameters"](model.config))
    for step in range(30):
        assert (method.metrics()["kept"] < 1) == (step >= 18)
        method.after_step(step, 30)
    assert method.metrics()["ticket"] == 18
    assert method.distance > 0.1
