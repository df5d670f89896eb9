"""Pruning single weights while training: exact shares, patterns, what each method lets come back, resuming."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

HERE = Path(__file__).resolve().parent
from small_models import small_whisper  # noqa: E402
from train_small import (  # noqa: E402
    SETTINGS,
    AudioBank,
    StoppedError,
    TrainingRun,
    TrainSettings,
    clips,
    run_small,
    small_job,
    train,
)

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.features.whisper_torch import LogMel  # noqa: E402
from secateur.prune.method import check_settings, make_method  # noqa: E402
from secateur.prune.settings import PruneSettings  # noqa: E402
from secateur.prune.weights.scores import WEIGHT_CRITERIA, WeightEvidence  # noqa: E402
from secateur.prune.weights.threshold import as_rows, matrices, matrix_weights, nonzero_weights  # noqa: E402
from secateur.train.run import Callback  # noqa: E402

SPARSE = PruneSettings(method="sparse", remove=0.4, criterion="magnitude", begin=0.1, end=0.5, every=3)


def gone(model: Any) -> dict[str, Any]:
    """Where the matrices are zero."""
    return {name: p.detach() == 0 for name, p in matrices(model)}


class Watch(Callback):
    """Zeros of every matrix after each step, and whatever `look` says."""

    def __init__(self, model: Any, look: Any = lambda: None) -> None:
        self.model, self.look = model, look
        self.zeros: list[dict[str, Any]] = []
        self.seen: list[Any] = []

    def after_step(self, step: int, total: int) -> None:
        self.zeros.append(gone(self.model))
        self.seen.append(self.look())


def watched(
    settings: PruneSettings, look: Any = lambda model, pruner: None, device: str = "cpu", **changed: Any
) -> tuple[Any, Any, Watch]:
    """A short run, looked at before each step's projection."""
    model, bank, mix, objective = small_job()
    if device != "cpu":
        bank = AudioBank(clips(), device)
        model.to(device)
    pruner = make_method(model, settings, 1.0)
    watch = Watch(model, lambda: look(model, pruner))
    run = TrainingRun(bank=bank, mix=mix, objective=objective, callbacks=[pruner, watch], folder=None, label="watched")
    train(model, run, TrainSettings(**{**SETTINGS, "ema": 0.0, **changed}))
    return model, pruner, watch


def test_all_matrices_are_counted_and_nothing_else() -> None:
    model, _ = small_whisper()
    left_out = ("embedding", "positions", "norm", "bias")
    expected = sum(p.numel() for n, p in model.named_parameters() if not any(part in n for part in left_out))
    assert matrix_weights(model) == expected == nonzero_weights(model)


@pytest.mark.parametrize("criterion", ["magnitude", "taylor", "movement", "wanda", "random"])
def test_exactly_the_share_is_zero_and_stays_zero(criterion: str) -> None:
    model, pruner, log = run_small(None, prune=replace(SPARSE, criterion=criterion), steps=12)
    total = matrix_weights(model)
    assert nonzero_weights(model) == total - round(0.4 * total)
    assert log[-1]["kept"] == pytest.approx(0.6, abs=1e-4)
    kept = [entry["kept"] for entry in log]
    assert kept == sorted(kept, reverse=True)
    assert nonzero_weights(pruner.shrunk()) == nonzero_weights(model)
    assert not any((p == 0).any() for n, p in model.named_parameters() if "norm.weight" in n or "embedding" in n)


def test_scopes_and_amounts() -> None:
    model, _, _ = run_small(None, prune=replace(SPARSE, scope="layer"), steps=12)
    for name, zeros in gone(model).items():
        assert int(zeros.sum()) == round(0.4 * zeros.numel()), name
    model, _, _ = run_small(None, prune=replace(SPARSE, scope="row"), steps=12)
    for name, zeros in gone(model).items():
        rows = zeros.flatten(1)
        assert rows.sum(1).unique().tolist() == [round(0.4 * rows.shape[1])], name
    model, _, _ = run_small(None, prune=replace(SPARSE, amounts={"decoder.layers.*.self_attention.*": 0.5}), steps=12)
    for name, zeros in gone(model).items():
        assert int(zeros.sum()) == (round(0.5 * zeros.numel()) if "self_attention" in name else 0), name


@pytest.mark.parametrize(
    ("method", "pattern"),
    [("sparse", "2:4"), ("parp", "1:3"), ("rewind", "2:4"), ("wanda", "4:8"), ("sparsegpt", "2:4")],
)
def test_patterns_hold_in_every_group(method: str, pattern: str) -> None:
    n, m = map(int, pattern.split(":"))
    model, _, _ = run_small(None, prune=replace(SPARSE, method=method, pattern=pattern, remove=None), steps=12)
    for name, zeros in gone(model).items():
        rows = as_rows(zeros)
        whole = rows.shape[1] // m * m
        assert rows[:, :whole].reshape(-1, m).sum(1).unique().tolist() == [m - n], name
        assert not rows[:, whole:].any(), name


@pytest.mark.parametrize("method", ["wanda", "sparsegpt"])
def test_one_shot_methods_prune_once_and_recover(method: str) -> None:
    model, pruner, watch = watched(
        replace(SPARSE, method=method, begin=0.5, remove=0.5), lambda _, pruner: pruner.metrics()["kept"]
    )
    total = matrix_weights(model)
    assert set(watch.seen[:11]) == {1.0}
    assert len(set(watch.seen[11:])) == 1
    assert watch.seen[-1] == pytest.approx(0.5, abs=0.02)
    assert nonzero_weights(model) == round(watch.seen[-1] * total)
    assert not pruner.inputs.sums  # the memory is free again
    if method == "sparsegpt":
        for name, zeros in gone(model).items():
            assert int(zeros.sum()) == round(0.5 * zeros.numel()), name


def test_sparsegpt_changes_what_the_encoder_says_less_than_magnitude_does() -> None:
    _, bank, _, _ = small_job()
    distances = {}
    for method in ("sparsegpt", "sparse"):
        heard: list[Any] = []

        def look(model: Any, pruner: Any, heard: list[Any] = heard) -> None:
            own = {n: p.detach().clone() for n, p in model.named_parameters()}
            with torch.no_grad():
                pruner.project(dict(model.named_parameters()))  # the loop does it right after
                mel, frames = LogMel(model.config.front_end)(*bank.gather(list(range(12))))
                memory, real = model.encoder(mel, frames, torch.nn.Identity())
                heard.append(memory[real])
                for name, p in model.named_parameters():
                    p.copy_(own[name])

        settings = replace(SPARSE, method=method, scope="layer", schedule="one-shot", begin=0.5, remove=0.5)
        watched(settings, look, steps=12, dropout=0.0, learning_rate=1e-5)
        distances[method] = float((heard[5] - heard[4]).norm() / heard[4].norm())
    assert distances["sparsegpt"] < 0.7 * distances["sparse"]


@pytest.mark.parametrize(("method", "returns"), [("sparse", False), ("rewind", False), ("parp", True), ("rigl", True)])
def test_what_was_zero_may_return_or_not(method: str, returns: bool) -> None:
    masks: list[dict[str, Any]] = []
    criterion = "taylor" if method == "sparse" else "magnitude"
    model, _, _ = watched(
        replace(SPARSE, method=method, criterion=criterion, remove=0.1, end=0.8),
        lambda _, pruner: masks.append({n: m == 0 for n, m in pruner.masks.items()}), learning_rate=1e-2,
    )  # fmt: skip
    marked = [m for m in masks if m]
    assert any(bool((a[n] & ~b[n]).any()) for a, b in pairwise(marked) for n in a) == returns
    assert nonzero_weights(model) == matrix_weights(model) - round(0.1 * matrix_weights(model))
    assert all(torch.equal(zeros, marked[-1][name]) for name, zeros in gone(model).items())


def test_parp_trains_what_is_masked_and_averages_never_show_it() -> None:
    settings = replace(SPARSE, method="parp", begin=0.1, end=0.9, every=4)
    _, pruner, watch = watched(settings)
    zeros = [int(sum(z.sum() for z in found.values())) for found in watch.zeros]
    assert zeros[5] > 0  # the first event that takes anything
    assert zeros[6] == zeros[7] == zeros[8] == 0  # then they learn
    assert zeros[9] > zeros[5]  # until the next
    average = {n: torch.ones_like(p) for n, p in pruner.weights.items()}
    pruner.project(average)
    assert sum(int((t == 0).sum()) for t in average.values()) == round(0.4 * pruner.total)
    model, _, _ = run_small(None, prune=settings, select="last")  # with a moving average
    assert nonzero_weights(model) == matrix_weights(model) - round(0.4 * matrix_weights(model))


def test_rigl_is_sparse_from_the_start_and_keeps_every_matrix_as_sparse() -> None:
    model, _, watch = watched(
        replace(SPARSE, method="rigl", end=0.9), lambda _, pruner: {n: int(m.sum()) for n, m in pruner.masks.items()}
    )
    counts = [seen for seen in watch.seen if seen]
    assert len(counts) >= 20
    assert all(seen == counts[0] for seen in counts)
    assert sum(counts[0].values()) == nonzero_weights(model)


def test_rewinding_restores_weights_and_moments_exactly() -> None:
    settings = replace(SPARSE, method="rewind", begin=0.1, end=0.9)

    def look(model: Any, pruner: Any) -> dict[str, Any]:
        return {n: t.detach().clone() for n, t in pruner.state().items()} | {"kept": pruner.metrics()["kept"]}

    model, pruner, watch = watched(settings, look)
    early = watch.seen[1]  # begin: 10% of 24 steps
    assert sum(":" in n for n in early) == 3 * len(pruner.parameters)  # AdamW's two moments and its count
    ends = [i for i, (a, b) in enumerate(pairwise(watch.seen), 1) if b["kept"] < a["kept"]]
    assert len(ends) == 4
    assert ends[-1] == 21
    for i in ends:
        masks = {n: ~z for n, z in watch.zeros[i].items()}
        for name, value in watch.seen[i].items():
            if name != "kept":
                assert torch.equal(value, early[name] * masks.get(name, 1)), name
    left = [watch.seen[i]["kept"] for i in ends]
    assert left == pytest.approx([0.6 ** (n / 4) for n in (1, 2, 3, 4)], abs=1e-3)
    assert not pruner.early
    assert nonzero_weights(model) == matrix_weights(model) - round(0.4 * matrix_weights(model))


def test_a_short_run_still_finishes_its_rounds() -> None:
    model, pruner, _ = watched(replace(SPARSE, method="rewind"), steps=4)
    assert pruner.done
    assert nonzero_weights(model) == matrix_weights(model) - round(0.4 * matrix_weights(model))


@pytest.mark.parametrize(
    ("method", "criterion", "more"),
    [
        ("sparse", "taylor", {}), ("sparse", "movement", {}), ("sparse", "wanda", {}), ("parp", "magnitude", {}),
        ("rigl", "magnitude", {}), ("rewind", "magnitude", {}), ("sparsegpt", "magnitude", {"begin": 0.5}),
    ],
)  # fmt: skip
def test_a_resumed_run_ends_as_an_undisturbed_one(
    method: str, criterion: str, more: dict[str, Any], tmp_path: Path
) -> None:
    settings = replace(SPARSE, method=method, criterion=criterion, **{"end": 0.9, **more})
    whole, _, _ = run_small(None, prune=settings, steps=12)
    with pytest.raises(StoppedError):
        run_small(tmp_path, prune=settings, steps=12, stop=5)  # the last state is that of step 4
    resumed, _, _ = run_small(tmp_path, prune=settings, steps=12)
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("method", ["sparse", "rigl", "rewind", "sparsegpt"])
def test_two_runs_in_bf16_end_in_the_same_mask(method: str, device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU here")
    settings = replace(SPARSE, method=method, criterion="wanda" if method == "sparse" else "magnitude", scope="layer")
    first, second = (gone(watched(settings, device=device, precision="bf16", steps=12)[0]) for _ in range(2))
    assert all(torch.equal(zeros, second[name]) for name, zeros in first.items())
    assert all(int(z.sum()) == round(0.4 * z.numel()) for z in first.values())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"criterion": "magnitud"}, "did you mean 'magnitude'"), ({"schedule": "cubik"}, "did you mean 'cubic'"),
        ({"pattern": "4:2"}, "not N:M"), ({"remove": 1.0}, "remove must be"), ({"remove": None}, "remove must be"),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused_before_any_work(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SecateurError, match=message):
        check_settings(replace(SPARSE, **wrong))


def test_wrong_names_and_amounts_are_refused() -> None:
    model, _ = small_whisper()
    with pytest.raises(SecateurError, match="no weight matrix matches"):
        make_method(model, replace(SPARSE, amounts={"decoder.layer.*": 0.5}), 1.0)
    with pytest.raises(SecateurError, match="a share from 0 to below 1"):
        make_method(model, replace(SPARSE, amounts={"decoder.*": 1.5}), 1.0)
    with pytest.raises(SecateurError, match="leave the pattern out"):
        make_method(model, replace(SPARSE, method="rigl", pattern="2:4"), 1.0)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (PruneSettings(method="gradual", pattern="2:4"), "pattern"),
        (PruneSettings(method="refit", scope="row"), "scope"),
        (PruneSettings(method="wanda", criterion="magnitude"), "criterion"),
        (PruneSettings(method="sparse", measure="macs"), "measure"),
        (PruneSettings(method="gates", pressure=0.2), "pressure"),
        (PruneSettings(method="group-lasso", layer_drop=0.1), "layer_drop"),
    ],
)  # fmt: skip
def test_a_setting_of_other_methods_is_refused_with_their_names(settings: PruneSettings, name: str) -> None:
    with pytest.raises(SecateurError) as caught:
        check_settings(settings)
    message = str(caught.value)
    assert message.startswith(f"prune.{name}: the method '{settings.method}' has no such setting")
    having = message.rpartition(": ")[2].split(", ")
    assert having
    for method in having:
        check_settings(PruneSettings(method=method, **{name: getattr(settings, name)}))


def test_a_matrix_whose_inputs_are_not_known_is_an_error_not_magnitude() -> None:
    with pytest.raises(SecateurError, match="'wanda' needs what the matrix reads, which is not known of layer"):
        WEIGHT_CRITERIA["wanda"](torch.ones(2, 3), WeightEvidence("layer"))
