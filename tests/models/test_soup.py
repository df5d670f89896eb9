"""Soups: the mean of runs of one start; pruned ones keep zeros and widths; what does not go together is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from small_models import inputs, small_whisper  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.cli import main  # noqa: E402
from secateur.families.whisper.model import Whisper  # noqa: E402
from secateur.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from secateur.models.soup import Ingredient, State, greedy_soup, mean_weights, uniform_soup  # noqa: E402
from secateur.prune.shrink import shrink  # noqa: E402


def tuned(model: Whisper, seed: int, zeros: dict[str, torch.Tensor] | None = None) -> Whisper:
    """A copy as another seed might have tuned it."""
    torch.manual_seed(seed)
    other = type(model)(model.config).eval()
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        for name, value in other.named_parameters():
            value.add_(0.02 * torch.randn_like(value))
            if zeros and name in zeros:
                value.masked_fill_(zeros[name], 0.0)
    return other


def ingredient(name: str, model: Whisper) -> Ingredient:
    return Ingredient(name, model.config, model.state_dict())


def half_zero(model: Whisper, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {n: torch.rand(p.shape, generator=generator) < 0.5 for n, p in model.named_parameters() if p.dim() == 2}


def test_a_uniform_soup_is_the_mean_and_runs() -> None:
    model = small_whisper()[0]
    runs = [tuned(model, seed) for seed in (1, 2, 3)]
    soup = uniform_soup([ingredient(str(i), one) for i, one in enumerate(runs)])
    name = "decoder.layers.1.ffn.down.weight"
    expected = sum(one.state_dict()[name] for one in runs) / 3
    torch.testing.assert_close(soup.state[name], expected)
    runs[0].load_state_dict(soup.state)
    assert bool(runs[0](*inputs(model)).isfinite().all())


def test_a_soup_of_one_mask_keeps_its_zeros_and_widths() -> None:
    whole = small_whisper()[0]
    model = shrink(whole, {"encoder.layers.0.ffn": list(range(20)), "decoder.layers.0.cross_attention.heads": [0, 2]})
    zeros = half_zero(model, 0)
    runs = [tuned(model, seed, zeros) for seed in (1, 2)]
    soup = uniform_soup([ingredient(str(i), one) for i, one in enumerate(runs)])
    for name, gone in zeros.items():
        assert bool((soup.state[name][gone] == 0).all()) and bool((soup.state[name][~gone] != 0).all())
    again = type(model)(model.config)
    again.load_state_dict(soup.state)
    assert again.config.encoder[0].ffn == 20 and again.config.decoder[0].cross_attention.heads == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: shrink(m, {"encoder.layers.1.ffn": list(range(9))}), r"a and b differ in encoder"),
        (lambda m: shrink(m, {"vocabulary": list(range(m.config.vocabulary - 2))}), r"a and b differ in .*vocabulary"),
        (lambda m: tuned(m, 1, half_zero(m, 1)), r"is zero in only one of a and b: .* one mask"),
        (lambda m: small_whisper(5)[0], r"nothing in common"),
    ],
)
def test_runs_that_do_not_go_together_are_refused_in_one_line(change, message) -> None:  # type: ignore[no-untyped-def]
    model = small_whisper()[0]
    with pytest.raises(SecateurError, match=message) as problem:
        uniform_soup([ingredient("a", tuned(model, 1)), ingredient("b", change(model))])
    assert "\n" not in str(problem.value)


def test_units_pruned_apart_to_the_same_widths_are_refused() -> None:
    model = small_whisper()[0]
    a, b = (shrink(model, {"encoder.layers.0.ffn": units}) for units in (list(range(20)), list(range(20, 40))))
    with pytest.raises(SecateurError, match="nothing in common"):
        uniform_soup([ingredient("a", a), ingredient("b", b)])


def test_a_greedy_soup_takes_what_does_not_raise_the_error() -> None:
    model = small_whisper()[0]
    runs = [tuned(model, seed) for seed in (1, 2, 3)]
    target = mean_weights([runs[0].state_dict(), runs[2].state_dict()])

    def distance(state: State) -> float:
        return sum(float((state[n] - target[n]).square().sum()) for n in target if n.endswith("weight"))

    soup = greedy_soup([ingredient(str(i), one) for i, one in enumerate(runs)], distance)
    assert soup.chosen == (0, 2)
    assert distance(soup.state) < min(distance(one.state_dict()) for one in runs)
    assert len(soup.tried) == 5 and soup.tried[0][0] == (0,)


def test_one_run_is_no_soup() -> None:
    model = small_whisper()[0]
    with pytest.raises(SecateurError, match="two or more"):
        uniform_soup([ingredient("a", model)])


def test_the_command_writes_a_model_that_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, tokenizer = small_whisper()
    for seed in (1, 2):
        save_checkpoint(tmp_path / f"run{seed}", tuned(model, seed), tokenizer)
    folders = [str(tmp_path / "run1"), str(tmp_path / "run2")]
    assert main(["models", "soup", *folders, "--out", str(tmp_path / "soup")]) == 0
    soup = load_checkpoint(tmp_path / "soup")[0].state_dict()
    both = [load_checkpoint(folder)[0].state_dict() for folder in folders]
    torch.testing.assert_close(
        soup["encoder.conv1.weight"],
        (both[0]["encoder.conv1.weight"] + both[1]["encoder.conv1.weight"]) / 2,
        atol=1e-3,
        rtol=1e-3,
    )
    assert main(["models", "soup", *folders, "--out", str(tmp_path / "soup")]) != 0
    assert "not empty" in capsys.readouterr().err
