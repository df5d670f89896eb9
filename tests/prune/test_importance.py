"""Criteria against hand computation and against the loss change they estimate."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from small_models import inputs, random_units, small_whisper

from secateur.base.errors import SecateurError
from secateur.families.whisper.model import Whisper
from secateur.models.groups import Group
from secateur.prune.evidence import ActivationCollector, TaylorCollector
from secateur.prune.importance import CRITERIA, Criterion, Evidence, magnitude, random_scores, taylor, wanda
from secateur.prune.method import check_settings, make_method
from secateur.prune.settings import PruneSettings
from secateur.prune.shrink import mask
from secateur.prune.units import COSTS
from secateur.train.loss import cross_entropy


def group_named(model: Whisper, name: str) -> Group:
    return next(g for g in model.groups() if g.name == name)


def loss_of(model: Whisper) -> torch.Tensor:
    mel, frames, tokens = inputs(model)
    return cross_entropy(model(mel, frames, tokens[:, :-1]), tokens[:, 1:])


def test_magnitude_is_the_norm_of_all_a_unit_owns() -> None:
    model, _ = small_whisper()
    ffn = model.encoder.layers[1].ffn
    by_hand = (ffn.up.weight**2).sum(1) + ffn.up.bias**2 + (ffn.down.weight**2).sum(0)
    scores = magnitude(group_named(model, "encoder.layers.1.ffn"), Evidence(dict(model.named_parameters())))
    torch.testing.assert_close(scores, by_hand.sqrt().detach())
    attention = model.decoder.layers[0].cross_attention
    head = slice(6, 12)  # the second of three heads, 6 query/key and 8 value dimensions each
    value = slice(8, 16)
    parts = [
        attention.query.weight[head], attention.query.bias[head], attention.key.weight[head],
        attention.value.weight[value], attention.value.bias[value], attention.out.weight[:, value],
    ]  # fmt: skip
    scores = magnitude(
        group_named(model, "decoder.layers.0.cross_attention.heads"), Evidence(dict(model.named_parameters()))
    )
    assert scores[1].item() == pytest.approx(sum(float(p.detach().square().sum()) for p in parts) ** 0.5, rel=1e-5)


def test_taylor_estimates_what_removing_a_little_of_a_unit_does_to_the_loss() -> None:
    model, _ = small_whisper()
    groups = [g for g in model.groups() if g.kind in ("ffn", "head", "conv", "layer")]
    collector = TaylorCollector(model, groups)
    loss_of(model).backward()
    collector.update()
    scores = {g.name: taylor(g, Evidence({}, taylor=collector.means())) for g in groups}
    name, unit, epsilon = "decoder.layers.1.ffn", 4, 1e-3
    changed = copy.deepcopy(model)
    ffn = changed.decoder.layers[1].ffn
    with torch.no_grad():
        before = loss_of(changed).double()
        ffn.up.weight[unit] *= 1 - epsilon
        ffn.up.bias[unit] *= 1 - epsilon
        ffn.down.weight[:, unit] *= 1 - epsilon
        slope = abs(float(loss_of(changed).double() - before)) / epsilon
    assert float(scores[name][unit]) == pytest.approx(slope, rel=0.05, abs=2e-4)
    assert all((s >= 0).all() and (s > 0).any() for s in scores.values())


def test_wanda_reads_weights_and_what_goes_through_them() -> None:
    model, _ = small_whisper()
    mel, frames, tokens = inputs(model)
    seen = []
    handle = model.encoder.layers[0].ffn.down.register_forward_hook(lambda m, a, o: seen.append(a[0]))
    with ActivationCollector(model) as collector, torch.no_grad():
        model(mel, frames, tokens)
        model(mel * 0.5, frames, tokens)
    handle.remove()
    norms = torch.cat([s.flatten(0, 1) for s in seen]).norm(dim=0)
    by_hand = (model.encoder.layers[0].ffn.down.weight.abs() * norms).sum(0)
    inputs_, outputs = collector.norms()
    evidence = Evidence(dict(model.named_parameters()), inputs=inputs_, outputs=outputs)
    torch.testing.assert_close(
        wanda(group_named(model, "encoder.layers.0.ffn"), evidence), by_hand.detach(), rtol=1e-4, atol=1e-5
    )
    query_key = wanda(group_named(model, "encoder.layers.0.attention.query_key"), evidence)
    expected = outputs["encoder.layers.0.attention.query.weight"] * outputs["encoder.layers.0.attention.key.weight"]
    torch.testing.assert_close(query_key, expected)


def test_signed_scores_say_which_removal_helps() -> None:
    """On two batches: the sum over the exact slopes of both, harm positive, help negative."""
    model, _ = small_whisper()
    group = group_named(model, "encoder.layers.1.ffn")
    collector = TaylorCollector(model, [group])
    for weight in (1.0, -3.0):  # slopes of opposite sign must cancel, not add up
        model.zero_grad()
        (weight * loss_of(model)).backward()
        collector.update()
    scores = CRITERIA["signed"](group, Evidence({}, signed=collector.signed_means()))
    epsilon = 1e-2
    agreed = []
    for unit in scores.abs().argsort(descending=True)[:6].tolist():
        changed = copy.deepcopy(model).double()
        ffn = changed.encoder.layers[1].ffn
        losses = []
        with torch.no_grad():
            for factor in (1 - epsilon, (1 + epsilon) / (1 - epsilon)):
                for part in (ffn.up.weight[unit], ffn.up.bias[unit : unit + 1], ffn.down.weight[:, unit]):
                    part *= factor
                mel, frames, tokens = inputs(changed)
                losses.append(float(cross_entropy(changed(mel.double(), frames, tokens[:, :-1]), tokens[:, 1:])))
        change = -1.0 * (losses[0] - losses[1]) / (2 * epsilon)  # mean of the weights 1 and -3
        agreed.append(float(scores[unit]) == pytest.approx(change, rel=0.05, abs=1e-3))
    assert all(agreed)
    assert float(scores.min()) < 0 < float(scores.max())


@pytest.mark.parametrize("name", sorted(set(CRITERIA) - {"random", "signed", "sensitivity"}))
def test_every_criterion_scores_what_is_already_gone_lowest(name: str) -> None:
    """All but random scores, what was measured before, and signed scores: what is there may be worth less than
    nothing."""
    model, _ = small_whisper()
    groups = [g for g in model.groups() if g.kind in ("ffn", "head", "conv", "value", "query_key")]
    keep = {g.name: random_units(g, 0.6, i) for i, g in enumerate(groups) if g.kind in ("ffn", "conv")}
    mask(model, keep)
    collector = TaylorCollector(model, groups)
    with ActivationCollector(model) as activations:
        loss_of(model).backward()
    collector.update()
    ins, outs = activations.norms()
    evidence = Evidence(dict(model.named_parameters()), collector.means(), ins, outs)
    for group in groups:
        if group.name in keep:
            scores = CRITERIA[name](group, evidence)
            gone = sorted(set(range(group.units)) - set(keep[group.name]))
            assert scores[gone].max() <= 1e-6 < scores[keep[group.name]].min() + 1e-5


def test_chance_is_the_seed_s() -> None:
    model, _ = small_whisper()
    group = group_named(model, "encoder.conv")
    assert torch.equal(random_scores(group, Evidence({}, seed=3)), random_scores(group, Evidence({}, seed=3)))
    assert not torch.equal(random_scores(group, Evidence({}, seed=3)), random_scores(group, Evidence({}, seed=4)))


@pytest.mark.parametrize(
    ("name", "words"),
    [("taylor", "squares of gradient"), ("signed", "signed sums"), ("wanda", "norms of what layers read"),
     ("sensitivity", "set prune.map")],
)  # fmt: skip
def test_what_a_criterion_needs_and_lacks_is_an_error(name: str, words: str) -> None:
    model, _ = small_whisper()
    group = group_named(model, "encoder.layers.0.ffn")
    with pytest.raises(SecateurError, match=f"the criterion '{name}' needs .*{words}"):
        CRITERIA[name](group, Evidence(dict(model.named_parameters())))


def test_a_need_that_nothing_gathers_is_refused_when_the_criterion_is_made() -> None:
    with pytest.raises(SecateurError, match=r"'magnitude' needs 'activation'.*did you mean 'activations'"):
        Criterion(magnitude, ("activation",))


def test_evidence_follows_from_needs_and_not_from_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A criterion that nobody has heard of gets gradients and activations because it asks for them."""
    asked: list[Evidence] = []

    def both(group: Group, evidence: Evidence) -> Any:
        asked.append(evidence)
        return taylor(group, evidence) * wanda(group, evidence)

    monkeypatch.setitem(CRITERIA.own, "both", Criterion(both, ("taylor", "activations")))  # type: ignore[arg-type]
    model, _ = small_whisper()
    settings = PruneSettings(method="gradual", criterion="both", remove=0.1, kinds=("ffn",), begin=0.0, every=1)
    check_settings(settings)
    pruner = make_method(model, settings, COSTS["parameters"](model.config))
    for step in range(3):
        loss_of(model).backward()
        pruner.after_backward(step, 4)
        pruner.after_step(step, 4)
    assert asked
    assert asked[-1].taylor
    assert asked[-1].inputs
    assert COSTS["parameters"](pruner.shrunk().config) < 0.91 * COSTS["parameters"](model.config)


def test_wanda_of_a_whole_layer_is_that_of_what_it_adds_with() -> None:
    model, _ = small_whisper()
    layers = group_named(model, "encoder.layers")
    with ActivationCollector(model) as activations, torch.no_grad():
        loss_of(model)
    inputs_, outputs = activations.norms()
    parameters = dict(model.named_parameters())
    scores = wanda(layers, Evidence(parameters, inputs=inputs_, outputs=outputs))
    for unit in range(layers.units):
        names = {place.parameter for place in layers.places if place.unit == unit and place.parameter in inputs_}
        assert names == {f"encoder.layers.{unit}.{part}.weight" for part in ("attention.out", "ffn.down")}
        expected = sum(float((parameters[n].detach().abs() * inputs_[n]).sum()) for n in names)
        assert float(scores[unit]) == pytest.approx(expected, rel=1e-4)
