"""What saves memory changes no result: layers computed again, stores off the device, batches prepared ahead."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from distributed_small import STILL, gradients, interrupted  # noqa: E402
from train_small import PRUNE, SETTINGS, run_small, small_job  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.models.checkpointing import checkpointed, layers_of, recomputing  # noqa: E402
from secateur.train import loop  # noqa: E402
from secateur.train.distributed import fingerprint  # noqa: E402
from secateur.train.optimizer import make_optimizer  # noqa: E402
from secateur.train.settings import TrainSettings  # noqa: E402


def same(left: dict[str, Any], right: dict[str, Any], tolerance: float = 0.0) -> None:
    assert left.keys() == right.keys()
    for name, value in left.items():
        torch.testing.assert_close(value, right[name], rtol=tolerance, atol=tolerance)


def test_layers_computed_again_give_the_same_gradients() -> None:
    model = small_job()[0]
    names = [type(layer).__name__ for layer in layers_of(model)]
    assert names == ["EncoderLayer"] * 3 + ["DecoderLayer"] * 2
    forwards: list[bool] = []
    hook = model.decoder.layers[1].ffn.up.register_forward_hook(lambda *_: forwards.append(recomputing()))
    features = torch.randn(2, 60, model.config.front_end.inputs)
    tokens = torch.randint(0, 40, (2, 7))

    def backward(on: bool) -> dict[str, Any]:
        model.zero_grad()
        with checkpointed(model, on):
            model(features, torch.tensor([60, 44]), tokens).square().mean().backward()
        return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    same(backward(False), backward(True), 1e-6)
    hook.remove()
    assert forwards == [False, False, True]
    assert "forward" not in model.decoder.layers[0].__dict__


def test_a_pruned_run_with_checkpointing_ends_with_the_same_weights(tmp_path: Path) -> None:
    """Wanda counts activations: those that are computed twice are counted once."""
    wanda = replace(PRUNE, criterion="wanda")
    plain, pruner, _ = run_small(tmp_path / "plain", prune=wanda, **STILL)
    again, other, _ = run_small(tmp_path / "again", prune=wanda, gradient_checkpointing=True, **STILL)
    same(plain.state_dict(), again.state_dict(), 1e-5)
    assert pruner.keep == other.keep


def test_offloaded_stores_end_where_the_others_do(tmp_path: Path) -> None:
    """The average moves every eighth step, so it agrees closely, not to the bit; the start's pull agrees."""
    settings = {"ema": 0.0, "l2_sp": 0.05, **STILL}
    same(run_small(None, **settings)[0].state_dict(), run_small(None, offload=True, **settings)[0].state_dict(), 1e-6)
    averaged = {"ema": 0.9, "learning_rate": 1e-4, **STILL, "steps": 16}
    same(run_small(None, **averaged)[0].state_dict(), run_small(None, offload=True, **averaged)[0].state_dict(), 2e-4)


def test_an_offloaded_run_with_adafactor_resumes_to_the_bit(tmp_path: Path) -> None:
    changed = {"offload": True, "optimizer": "adafactor", "l2_sp": 0.01, "steps": 12}
    whole = run_small(tmp_path / "whole", **changed)[0].state_dict()
    interrupted(tmp_path / "stopped", 6, **changed)
    same(run_small(tmp_path / "stopped", **changed)[0].state_dict(), whole)


def test_adafactor_learns_and_its_state_is_small() -> None:
    model = small_job()[0]
    settings = TrainSettings(optimizer="adafactor")
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = make_optimizer(parameters, [], settings, torch.device("cpu"))
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    before = [p.detach().clone() for p in parameters]
    optimizer.step()
    state = sum(t.numel() for slots in optimizer.state.values() for t in slots.values())
    assert state < 0.2 * sum(p.numel() for p in parameters)
    assert all(not torch.equal(old, new) for old, new in zip(before, parameters, strict=True))
    with pytest.raises(SecateurError, match="take adamw"):
        TrainSettings(optimizer="adafactor", lora_rank=4)


def test_batches_prepared_ahead_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where pruning removes mel inputs on the way: features are made anew for what the network reads then."""
    mels = replace(PRUNE, kinds=("mel", "ffn"), amounts={"encoder.mel": 0.5})
    plain = run_small(None, prune=mels, steps=12)[0].state_dict()
    for ahead in (1, 3):

        class Ahead(loop.Prefetcher):
            def __init__(self, *inputs: Any, ahead: int = ahead) -> None:
                super().__init__(*inputs[:-1], ahead)

        with monkeypatch.context() as patch:
            patch.setattr(loop, "Prefetcher", Ahead)
            same(plain, run_small(None, prune=mels, steps=12)[0].state_dict())


def test_an_error_while_preparing_ahead_is_raised_where_the_batch_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ahead(loop.Prefetcher):
        def __init__(self, batches: Any, prepare: Any, *more: Any) -> None:
            def failing(examples: Any, step: int) -> Any:
                if step == 5:
                    raise SecateurError("clip 7 cannot be read")
                return prepare(examples, step)

            super().__init__(batches, failing, *more[:-1], 2)

    monkeypatch.setattr(loop, "Prefetcher", Ahead)
    with pytest.raises(SecateurError, match="clip 7 cannot be read"):
        run_small(None)


def test_a_fingerprint_sees_one_bit_and_one_mask() -> None:
    weights = {"a": torch.arange(7.0), "b": torch.randn(3, 5)}
    first = fingerprint(weights)
    assert first == fingerprint({n: w.clone() for n, w in weights.items()})
    weights["b"][1, 2] = torch.nextafter(weights["b"][1, 2], torch.tensor(9.0))
    second = fingerprint(weights)
    assert second["weights"] != first["weights"] and second["masks"] == first["masks"]
    weights["a"][3] = 0.0
    assert fingerprint(weights)["masks"] != first["masks"]
    swapped = {"a": weights["a"].flip(0), "b": weights["b"]}
    assert fingerprint(swapped)["weights"] != fingerprint(weights)["weights"]


def test_gradients_do_not_depend_on_what_was_counted_before() -> None:
    same(gradients([0, 3, 5]), gradients([0, 3, 5]))
    assert SETTINGS["steps"] > 8
