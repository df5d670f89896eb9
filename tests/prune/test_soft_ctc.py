"""Gates, group lasso, L1 and dropout on what CTC models are made of: recurrent gates, branches, BatchNorm channels."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from ctc_small import run_ctc  # noqa: E402
from small_ctc import CONFIGS, inputs, outputs, small_ctc  # noqa: E402
from small_models import random_units  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.prune.places import kept_units  # noqa: E402
from secateur.prune.settings import PruneSettings  # noqa: E402
from secateur.prune.shrink import shrink  # noqa: E402
from secateur.prune.soft.gating import Gating  # noqa: E402
from secateur.prune.soft.lasso import GroupLasso  # noqa: E402
from secateur.prune.units import COSTS  # noqa: E402
from secateur.train.run import Callback  # noqa: E402

KINDS = ("ffn", "head", "value", "query_key", "conv", "unit", "branch", "layer")
PARTS = ("subsampling", "inception", "gru", "lstm", "conformer", "everything")


@pytest.mark.parametrize("kind", PARTS)
def test_a_closed_gate_is_a_removed_unit(kind: str) -> None:
    model = small_ctc(kind)
    groups = [g for g in model.groups() if g.kind in KINDS]
    keep = {g.name: random_units(g, 0.6, i) for i, g in enumerate(groups)}
    small = shrink(model, keep)
    gating = Gating(model, groups)
    gating.save_raw()
    gating.write(torch.cat([kept_units(groups, keep)[g.name].float() for g in groups]))
    torch.testing.assert_close(outputs(model, inputs(model)), outputs(small, inputs(model)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["inception", "gru", "lstm", "conformer"])
def test_the_gradient_of_gates_is_that_of_finite_differences(kind: str) -> None:
    model = small_ctc(kind)
    gating = Gating(model, [g for g in model.groups() if g.kind in KINDS])
    gating.save_raw()
    gates = 0.4 + 0.6 * torch.rand(sum(gating.sizes), generator=torch.Generator().manual_seed(3))
    features, frames = inputs(model)

    def loss() -> torch.Tensor:
        said, real = model(features, frames)
        return sum(row[:count, 1].sum() for row, count in zip(said, real.tolist(), strict=True))

    gating.write(gates)
    loss().backward()
    slope, step = gating.gradient(gates), 1e-2  # recurrent layers compute in 32 bits
    for unit in (torch.tensor(gating.sizes).cumsum(0) - 1).tolist():  # one of every group
        move = torch.zeros_like(gates)
        move[unit] = step
        ends = []
        for sign in (1, -1):
            gating.write(gates + sign * move)
            ends.append(float(loss().detach()))
        assert float(slope[unit]) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=0.05, abs=0.2)


@pytest.mark.parametrize("kind", ["subsampling", "inception", "gru", "lstm", "conformer"])
def test_units_that_were_pressed_to_nothing_go_first(kind: str) -> None:
    model = small_ctc(kind)
    settings = PruneSettings(method="group-lasso", remove=0.01, every=2, begin=0.1, end=0.6, kinds=KINDS[:6])
    method = GroupLasso(model, settings, COSTS["parameters"](model.config))
    group = max((g for g in method.pressed if g.kind in ("conv", "unit", "ffn")), key=lambda g: g.units - g.minimum)
    named = dict(model.named_parameters())
    with torch.no_grad():
        for place in group.places:
            if place.parameter in named:  # all gates of a recurrent unit, both of a channel's BatchNorm values
                start = (place.start or 0) + 1 * place.width
                named[place.parameter].narrow(place.dim, start, place.width).mul_(1e-6)
    method.after_step(59, 100)
    gone = {name: set(range(next(g for g in method.groups if g.name == name).units)) - set(kept)
            for name, kept in method.keep.items()}  # fmt: skip
    assert 1 in gone[group.name]
    small = method.shrunk()
    torch.testing.assert_close(outputs(small, inputs(model)), outputs(model, inputs(model)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["inception", "gru", "conformer"])
def test_pressure_makes_units_smaller(kind: str) -> None:
    left = {}
    for pressure in (0.0, 4.0):
        prune = PruneSettings(
            method="group-lasso", remove=0.1, pressure=pressure, begin=0.0, end=0.9, kinds=("conv", "unit", "ffn")
        )
        _, _, log = run_ctc(None, kind, prune, steps=24, learning_rate=1e-2, ema=0.0, select="last")
        left[pressure] = next(e["lasso"] for e in reversed(log) if e["kept"] == 1)
    assert left[4.0] < 0.95 * left[0.0]


@pytest.mark.parametrize("kind", ["inception", "gru", "subsampled conformer"])
def test_l1_leaves_smaller_weights(kind: str) -> None:
    sizes = []
    for l1 in (0.0, 300.0):  # beside a loss whose gradient is clipped
        model, _, _ = run_ctc(None, kind, steps=24, learning_rate=1e-2, ema=0.0, l1=l1)
        sizes.append(sum(float(p.detach().abs().sum()) for p in model.parameters() if p.dim() > 1))
    assert sizes[1] < 0.85 * sizes[0]


class Watch(Callback):
    """Notes dropout's chance at every step."""

    def __init__(self) -> None:
        self.seen: list[float] = []
        self.model: torch.nn.Module | None = None

    def before_forward(self, step: int, total: int) -> None:
        assert self.model is not None
        self.seen.append(self.model.dropout.p)


@pytest.mark.parametrize("after", [False, True])
def test_dropout_before_or_after_pruning(after: bool) -> None:
    span, on = ((0.5, 1.0), [False] * 5 + [True] * 5) if after else ((0.0, 0.5), [True] * 5 + [False] * 5)
    watch = Watch()
    prune = PruneSettings(remove=0.2, every=1, begin=0.4, end=0.5, kinds=("unit",))
    model, pruner, _ = run_ctc(None, "gru", prune, watch=watch, steps=10, dropout=0.3, dropout_span=span, select="last")
    assert [p == 0.3 for p in watch.seen] == on and set(watch.seen) <= {0.0, 0.3}
    torch.testing.assert_close(
        outputs(pruner.shrunk(), inputs(model)), outputs(model, inputs(model)), rtol=1e-4, atol=1e-4
    )
    with pytest.raises(SecateurError, match="dropout_span must be two shares"):
        run_ctc(None, "gru", steps=1, dropout_span=(0.5, 0.2))


def test_every_part_of_a_network_drops() -> None:
    for kind in CONFIGS:
        model = small_ctc(kind).train()
        model.dropout.p = 0.5
        with torch.no_grad():
            first, second = model(*inputs(model))[0], model(*inputs(model))[0]
        assert not torch.equal(first, second), kind
