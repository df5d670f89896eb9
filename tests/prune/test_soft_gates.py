"""Gates: one multiplication a unit, the right gradient, and an expected cost that is the real one."""

from __future__ import annotations

import copy

import pytest
import torch
from small_models import inputs, random_units, small_whisper
from soft_runs import KINDS, run_soft, settings_for

from secateur.prune.places import kept_units
from secateur.prune.shrink import shrink
from secateur.prune.soft.expected import ExpectedCost
from secateur.prune.soft.gates import L0Gates, open_chance, sampled, settled
from secateur.prune.soft.gating import Gating, carriers
from secateur.prune.units import COSTS
from secateur.train.loss import cross_entropy
from secateur.train.run import Callback


def gated_model() -> tuple[torch.nn.Module, Gating]:
    """In double precision, with gates on everything that can be masked: they overlap in many parameters."""
    model, _ = small_whisper()
    model.double()
    gating = Gating(model, [g for g in model.groups() if g.kind in (*KINDS, "layer", "mel")])
    gating.save_raw()
    return model, gating


def loss_of(model: torch.nn.Module) -> torch.Tensor:
    mel, frames, tokens = inputs(model)
    logits = model(mel.double(), frames, tokens[:, :-1])
    return torch.nn.functional.cross_entropy(logits.transpose(1, 2), tokens[:, 1:])


def test_a_closed_gate_is_a_removed_unit() -> None:
    model, _ = small_whisper()
    groups = [g for g in model.groups() if g.kind in (*KINDS, "layer")]
    keep = {g.name: random_units(g, 0.6, i) for i, g in enumerate(groups)}
    small = shrink(model, keep)
    gating = Gating(model, groups)
    gating.save_raw()
    gating.write(torch.cat([kept_units(groups, keep)[g.name].float() for g in groups]))
    with torch.no_grad():
        torch.testing.assert_close(model(*inputs(model)), small(*inputs(model)), rtol=1e-4, atol=1e-5)


def test_gates_multiply_one_side_only() -> None:
    model, _ = small_whisper()
    found = {g.name: [p.parameter.split(".")[-2:] for p in carriers(g)] for g in model.groups() if g.kind in KINDS}
    assert found["encoder.layers.0.ffn"] == [["down", "weight"]]
    assert found["encoder.layers.0.attention.value"] == [["out", "weight"]]
    assert found["encoder.layers.0.attention.query_key"] == [["query", "weight"], ["query", "bias"]]
    seen = []
    handle = model.encoder.layers[0].ffn.down.register_forward_hook(lambda m, a, o: seen.append(o - m.bias))
    group = next(g for g in model.groups() if g.name == "encoder.layers.0.ffn")
    gating = Gating(model, [group])
    gating.save_raw()
    for gates in (torch.ones(group.units), torch.full((group.units,), 0.25)):
        gating.write(gates)
        with torch.no_grad():
            model(*inputs(model))
    handle.remove()
    torch.testing.assert_close(seen[1], 0.25 * seen[0])


def test_the_gradient_of_gates_and_of_raw_weights_is_that_of_finite_differences() -> None:
    model, gating = gated_model()
    random = torch.Generator().manual_seed(3)
    gates = 0.4 + 0.6 * torch.rand(sum(gating.sizes), generator=random).double()
    gating.write(gates)
    loss_of(model).backward()
    slope = gating.gradient(gates)
    step = 1e-5

    @torch.no_grad()
    def loss_at(changed: torch.Tensor) -> float:
        gating.write(changed)
        return float(loss_of(model))

    starts = torch.tensor(gating.sizes).cumsum(0) - 1
    for unit in starts.tolist():  # one of every group
        move = torch.zeros_like(gates)
        move[unit] = step
        numeric = (loss_at(gates + move) - loss_at(gates - move)) / (2 * step)
        assert float(slope[unit]) == pytest.approx(numeric, rel=1e-3, abs=1e-7)
    name = "encoder.layers.0.attention.out.weight"  # gated by heads, by value dimensions and by its layer
    assert len(gating.uses[name]) == 3
    for index in ((0, 0), (5, 9)):
        values = []
        for sign in (1, -1):
            gating.raw[name][index] += sign * step
            values.append(loss_at(gates))
            gating.raw[name][index] -= sign * step
        numeric = (values[0] - values[1]) / (2 * step)
        assert float(gating.parameters[name].grad[index]) == pytest.approx(numeric, rel=1e-3, abs=1e-7)
    gating.write(None)
    fresh, _ = small_whisper()
    assert all(torch.equal(a.double(), b) for a, b in zip(fresh.parameters(), model.parameters(), strict=True))


def test_hard_concrete_gates_are_open_as_often_as_said_and_learn_in_the_right_direction() -> None:
    logits = torch.linspace(-4, 4, 9)[:, None].expand(-1, 40_000).clone().requires_grad_()
    uniform = torch.rand(logits.shape, generator=torch.Generator().manual_seed(0)).clamp(1e-6, 1 - 1e-6)
    gates = sampled(logits, uniform)
    assert (gates.detach().min(), gates.detach().max()) == (0, 1)
    torch.testing.assert_close((gates > 0).float().mean(1), open_chance(logits[:, 0]), rtol=0, atol=0.01)
    gates.sum().backward()
    step = 1e-3
    numeric = (sampled(logits + step, uniform) - sampled(logits - step, uniform)).detach().mean(1) / (2 * step)
    torch.testing.assert_close(logits.grad.mean(1), numeric, rtol=0.02, atol=1e-3)
    assert settled(torch.tensor([-4.0, 0.0, 3.0])).tolist() == pytest.approx([0, 0.5, 1])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kinds", [KINDS, ("ffn",), ("head", "value"), (*KINDS, "layer", "mel")])
def test_the_expected_cost_of_a_certain_plan_is_its_cost(kinds: tuple[str, ...], seed: int) -> None:
    model, _ = small_whisper()
    groups = [g for g in model.groups() if g.kind in kinds]
    shapes = {n: p.shape for n, p in model.named_parameters()}
    expected = ExpectedCost(model.config, groups, shapes, COSTS["parameters"], COSTS["parameters"])
    # Which mel bins stay is not a matter of layers, but layers that go take their own units with them.
    keep = {g.name: random_units(g, 0.6, seed + i) for i, g in enumerate(groups)}
    chances = torch.cat([kept_units(groups, keep)[g.name].float() for g in groups])
    real = COSTS["parameters"](model.config.shrunk(dict(keep)))
    assert float(expected(chances)) == pytest.approx(real, rel=1e-6)


def test_the_expected_cost_is_the_mean_over_drawn_plans_and_its_gradient_is_right() -> None:
    model, _ = small_whisper()
    groups = [g for g in model.groups() if g.kind in KINDS]
    shapes = {n: p.shape for n, p in model.named_parameters()}
    expected = ExpectedCost(model.config, groups, shapes, COSTS["parameters"], COSTS["parameters"])
    count = sum(g.units for g in groups)
    random = torch.Generator().manual_seed(1)
    logits = torch.randn(count, generator=random)
    chances = open_chance(logits)
    drawn = [float(expected((torch.rand(count, generator=random) < chances).float())) for _ in range(400)]
    assert float(expected(chances)) == pytest.approx(sum(drawn) / len(drawn), rel=0.005)
    for name in ("index", "weights", "first", "second", "layers"):
        tensor = getattr(expected, name)
        setattr(expected, name, tensor.double() if tensor.is_floating_point() else tensor)
    exact = logits.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda a: expected(open_chance(a)), [exact], eps=1e-4, atol=1e-3, rtol=1e-3)


def test_multiply_accumulates_are_expected_about_right() -> None:
    model, _ = small_whisper()
    groups = [g for g in model.groups() if g.kind in KINDS]
    shapes = {n: p.shape for n, p in model.named_parameters()}
    expected = ExpectedCost(model.config, groups, shapes, COSTS["macs"], COSTS["parameters"])
    whole = COSTS["macs"](model.config)
    assert float(expected(torch.ones(sum(g.units for g in groups)))) == pytest.approx(whole, rel=1e-5)
    keep = {g.name: random_units(g, 0.6, i) for i, g in enumerate(groups)}
    chances = torch.cat([kept_units(groups, keep)[g.name].float() for g in groups])
    assert float(expected(chances)) == pytest.approx(COSTS["macs"](model.config.shrunk(dict(keep))), rel=0.15)


def test_gates_find_the_units_that_the_loss_can_spare() -> None:
    """The weights stay as they are: only gates learn. No random plan of the same cost comes near."""
    model, _ = small_whisper()
    start = copy.deepcopy(model)
    method = L0Gates(model, settings_for("gates", remove=0.2, end=0.9, begin=0.0), COSTS["parameters"](model.config))
    mel, frames, tokens = inputs(model)

    def loss(network: torch.nn.Module) -> torch.Tensor:
        return cross_entropy(network(mel, frames, tokens[:, :-1]), tokens[:, 1:])

    torch.manual_seed(0)
    for step in range(60):
        method.before_forward(step, 60)
        model.zero_grad()
        loss(model).backward()
        method.after_backward(step, 60)
        method.after_step(step, 60)
    fresh = L0Gates(start, method.settings, method.original)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        found = loss(shrink(start, method.keep))
        chance = torch.stack([
            loss(shrink(start, fresh.plan(1.0, {g.name: torch.rand(g.units, generator=random) for g in fresh.groups})))
            for _ in range(8)
        ])  # fmt: skip
    assert float(found) < float(chance.min()) - 2 * float(chance.std())


class Watch(Callback):
    """Looks at the network between steps, with and without its gates, just before the gates' last validation."""

    def __init__(self, method: L0Gates) -> None:
        self.method = method
        self.error, self.raw_error, self.closed = 0.0, 0.0, 0

    def after_step(self, step: int, total: int) -> None:
        if step != 15:
            return
        gating, model = self.method.gating, self.method.model
        held = {n: p.detach().clone() for n, p in gating.parameters.items()}
        gating.write(None)
        self.raw_error = float(model(*inputs(model)).square().mean())
        gates = settled(self.method.logits.detach())
        gating.write(gates)
        assert all(torch.equal(held[n], p) for n, p in gating.parameters.items())
        self.error = float(model(*inputs(model)).square().mean())
        self.closed = int((gates == 0).sum())


def test_what_is_validated_is_the_network_with_settled_gates() -> None:
    watches: list[Watch] = []

    def watch(method: L0Gates) -> Watch:
        watches.append(Watch(method))
        return watches[0]

    _, _, log = run_soft(settings_for("gates"), watch=watch, ema=0.0)
    error = next(e["error"] for e in log if e["step"] == 16)
    assert watches[0].closed > 0
    assert error == pytest.approx(watches[0].error, rel=1e-5)
    assert error != pytest.approx(watches[0].raw_error, rel=1e-2)
    assert log[-1]["expected"] == pytest.approx(0.7, abs=0.05)
