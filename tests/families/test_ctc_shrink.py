"""The core promise of surgery, for every kind of block: the masked model and the shrunk model compute the same."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from small_ctc import CONFIGS, NoText, inputs, outputs, small_ctc  # noqa: E402
from small_models import random_units  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.families.ctc.cost import count_parameters  # noqa: E402
from secateur.families.ctc.model import CtcModel  # noqa: E402
from secateur.models.checkpoint import StoredTensors, load_weights, save_checkpoint  # noqa: E402
from secateur.models.family import read_config  # noqa: E402
from secateur.prune.shrink import mask, shrink  # noqa: E402

Plan = dict[str, list[int]]
CASES = [(kind, unit) for kind in CONFIGS for unit in sorted({g.kind for g in small_ctc(kind).groups()})]


def stored_and_read(model: CtcModel, folder: Path) -> CtcModel:
    """The model after a way through files."""
    save_checkpoint(folder, model, NoText())
    with torch.device("meta"):
        again = CtcModel(read_config(folder / "config.json"))
    load_weights(again, StoredTensors(folder / "model.safetensors"), str(folder))
    return again.eval()


def kept_inputs(model: CtcModel, batch: tuple, plan: Plan) -> tuple:
    """What a front-end that computes fewer features gives."""
    return (batch[0][..., plan["input"]], batch[1]) if "input" in plan else batch


def check(model: CtcModel, plan: Plan, folder: Path) -> CtcModel:
    """Masked equals shrunk, before and after a way through files; returns the shrunk one."""
    batch = inputs(model)
    masked = copy.deepcopy(model)
    mask(masked, plan)
    small = shrink(model, plan)
    expected = outputs(masked, batch)
    torch.testing.assert_close(outputs(small, kept_inputs(model, batch, plan)), expected, rtol=1e-5, atol=1e-5)
    again = stored_and_read(small, folder)
    assert again.config == small.config
    torch.testing.assert_close(outputs(again, kept_inputs(model, batch, plan)), expected, rtol=1e-5, atol=1e-5)
    assert sum(t.numel() for t in again.state_dict().values()) == count_parameters(again.config)["total"]
    return small


@pytest.mark.parametrize(("kind", "unit"), CASES)
@pytest.mark.parametrize("share", [0.8, 0.5])
def test_masked_equals_shrunk(kind: str, unit: str, share: float, tmp_path: Path) -> None:
    model = small_ctc(kind)
    plan = {g.name: random_units(g, share, 7 + i) for i, g in enumerate(model.groups()) if g.kind == unit}
    small = check(model, plan, tmp_path)
    assert count_parameters(small.config)["total"] < count_parameters(model.config)["total"]
    batch = inputs(model)
    assert (outputs(small, kept_inputs(model, batch, plan)) - outputs(model, batch)).abs().max() > 1e-3


@st.composite
def plans(draw: st.DrawFn) -> tuple[str, Plan]:
    """A kind of network, and any units of any of its groups; equally many in each block of a group."""
    kind = draw(st.sampled_from(sorted(CONFIGS)))
    plan = {}
    for group in small_ctc(kind).groups():
        if not draw(st.booleans()):
            continue
        size = group.units // group.blocks
        count = draw(st.integers(1, size))
        kept = []
        for block in range(group.blocks):
            chosen = draw(st.lists(st.integers(0, size - 1), min_size=count, max_size=count, unique=True))
            kept += [block * size + unit for unit in chosen]
        plan[group.name] = sorted(kept)
    return kind, plan


@settings(max_examples=60, derandomize=True, suppress_health_check=list(HealthCheck))
@given(plans())
def test_any_plan(tmp_path_factory: pytest.TempPathFactory, drawn: tuple[str, Plan]) -> None:
    kind, plan = drawn
    check(small_ctc(kind), plan, tmp_path_factory.mktemp("plan"))


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_padded_row_of_a_shrunk_model_equals_the_clip_alone(kind: str) -> None:
    model = small_ctc(kind)
    plan = {g.name: random_units(g, 0.6, i) for i, g in enumerate(model.groups()) if g.kind != "input"}
    small = shrink(model, plan)
    features, frames = inputs(model)
    together = outputs(small, (features, frames))
    alone = [outputs(small, (features[i : i + 1, :n], frames[i : i + 1])) for i, n in enumerate(frames.tolist())]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", CONFIGS)
def test_two_cuts_are_one(kind: str) -> None:
    model = small_ctc(kind)
    first = {g.name: random_units(g, 0.8, i) for i, g in enumerate(model.groups()) if g.kind not in ("layer", "branch")}
    whole = shrink(shrink(model, first), {g.name: list(range(g.units)) for g in shrink(model, first).groups()})
    assert whole.config == shrink(model, first).config
    names = [n for n in first if n != "input" and not n.endswith(("query_key", "value", "heads"))]
    second = {n: list(range(0, len(first[n]), 2)) for n in names}
    both = first | {n: [first[n][i] for i in second[n]] for n in names}
    twice, once = shrink(shrink(model, first), second), shrink(model, both)
    assert twice.config == once.config
    for name, value in twice.state_dict().items():
        assert torch.equal(value, once.state_dict()[name]), name


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_masked_network_trains_as_the_shrunk_one(kind: str) -> None:
    """Also with the statistics of batches, masked units stay silent and leave the others alone."""
    model = small_ctc(kind)
    plan = {g.name: random_units(g, 0.6, i) for i, g in enumerate(model.groups()) if g.kind != "input"}
    masked, small = copy.deepcopy(model).train(), shrink(model, plan).train()
    masks = mask(masked, plan)
    batch = inputs(model)
    for network in (masked, small):
        outputs_of, frames = network(*batch)
        real = torch.arange(outputs_of.shape[1]) < frames[:, None]
        (outputs_of[..., 1] * real).sum().backward()
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter -= 0.01 * parameter.grad if parameter.requires_grad else 0
                if network is masked and name in masks:
                    parameter.mul_(masks[name])
    masked.eval(), small.eval()
    torch.testing.assert_close(outputs(small, batch), outputs(masked, batch), rtol=1e-4, atol=1e-4)


def test_inputs_that_go_are_not_computed() -> None:
    model = small_ctc("inception")
    small = shrink(model, {"input": [1, 4, 5, 18]})
    assert small.config.front_end.kept == (1, 4, 5, 18)
    assert small.config.front_end.inputs == 4
    smaller = shrink(small, {"input": [0, 2]})  # counts in what the first cut left
    assert smaller.config.front_end.kept == (1, 5)


def test_inputs_of_a_picture_stay() -> None:
    assert "input" not in {g.name for g in small_ctc("subsampling").groups()}
    with pytest.raises(SecateurError, match="no group 'input' in this model"):
        shrink(small_ctc("subsampling"), {"input": [0, 1]})


def test_the_output_reads_all_columns_of_a_channel() -> None:
    model = small_ctc("subsampling")
    lines = model.subsampling.lines
    small = shrink(model, {"subsampling.convs.1": [2, 5]})
    columns = [unit * lines + line for unit in (2, 5) for line in range(lines)]
    assert torch.equal(small.output.weight, model.output.weight[:, columns])


def test_gates_of_a_unit_go_together() -> None:
    model = small_ctc("lstm")
    kept = [0, 3, 10]
    small = shrink(model, {"recurrent.layers.0.ahead": kept})
    old, new = model.recurrent.layers[0].ahead, small.recurrent.layers[0].ahead
    rows = [gate * 11 + unit for gate in range(4) for unit in kept]
    assert torch.equal(new.weight_ih_l0, old.weight_ih_l0[rows])
    assert torch.equal(new.weight_hh_l0, old.weight_hh_l0[rows][:, kept])
    assert torch.equal(new.bias_hh_l0, old.bias_hh_l0[rows])
    # The next layer's columns of the other direction stand after those of this one.
    after = [*kept, *range(11, 25)]
    old_next, new_next = model.recurrent.layers[1].back, small.recurrent.layers[1].back
    assert torch.equal(new_next.weight_ih_l0, old_next.weight_ih_l0[:, after])


def test_statistics_go_with_their_channel() -> None:
    model = small_ctc("conformer")
    small = shrink(model, {"conformer.layers.1.conv": [1, 2, 14]})
    old, new = model.conformer.layers[1].conv, small.conformer.layers[1].conv
    assert torch.equal(new.norm.running_var, old.norm.running_var[[1, 2, 14]])
    assert torch.equal(new.gated.bias, old.gated.bias[[1, 2, 14, 16, 17, 29]])


def test_a_branch_that_goes_takes_its_columns() -> None:
    model = small_ctc("inception")
    small = shrink(model, {"inception.blocks.0.branches": [0, 2, 3]})
    assert [b.kind for b in small.config.inception.blocks[0]] == ["one", "five", "pool"]
    kept = [*range(5), *range(13, 26)]  # without the 8 channels of "three"
    old, new = (m.inception.blocks[1].branches[1].convs[0].conv.weight for m in (model, small))
    assert torch.equal(new, old[:, kept])
