"""CTC networks: padding is never seen, gradients flow, the config's arithmetic is that of the real network."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
from small_ctc import CONFIGS, PLAIN, inputs, outputs, small_ctc  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.base.options import to_dict  # noqa: E402
from secateur.families.ctc.config import (  # noqa: E402
    BranchWidths,
    CtcConfig,
    DirectionWidths,
    InceptionWidths,
    SubsamplingWidths,
)
from secateur.families.ctc.cost import count_macs, count_parameters  # noqa: E402
from secateur.families.ctc.frames import BatchNorm  # noqa: E402
from secateur.families.ctc.model import CtcModel  # noqa: E402
from secateur.families.ctc.new_model import PRESETS  # noqa: E402
from secateur.families.ctc.recurrent import Bidirectional  # noqa: E402
from secateur.models.family import parse_config  # noqa: E402


@pytest.mark.parametrize("kind", CONFIGS)
@torch.no_grad()
def test_a_row_of_a_padded_batch_equals_the_clip_alone(kind: str) -> None:
    model = small_ctc(kind)
    features, frames = inputs(model)
    together, counts = model(features, frames)
    for row, (before, after) in enumerate(zip(frames.tolist(), counts.tolist(), strict=True)):
        alone, count = model(features[row : row + 1, :before])
        assert count.tolist() == [after] == [-(-before // model.config.subsampled)]
        assert alone.shape[1] == after
        torch.testing.assert_close(together[row, :after], alone[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", CONFIGS)
def test_training_does_not_see_padding_either(kind: str) -> None:
    model = small_ctc(kind).train()
    features, frames = inputs(model)
    other = features.clone()
    other[1, 26:], other[2, 3:] = 1e3, -1e3
    twin = small_ctc(kind).train()
    torch.testing.assert_close(outputs(model, (features, frames)), outputs(twin, (other, frames)))
    for (name, value), again in zip(model.named_buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(value, again, msg=name)


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_parameter_learns_and_a_row_without_frames_does_no_harm(kind: str) -> None:
    model = small_ctc(kind).train()
    features, frames = inputs(model)
    frames[2] = 0
    log_probs, counts = model(features, frames)
    assert counts[2] == 0
    targets = torch.tensor([1, 2, 3, 1, 2])
    loss = torch.nn.functional.ctc_loss(
        log_probs.transpose(0, 1), targets, counts, torch.tensor([3, 2, 0]), zero_infinity=True
    )
    loss.backward()
    for name, parameter in model.named_parameters():
        if name == "trunk.positions":  # sinusoids, as in a Whisper
            assert not parameter.requires_grad
            continue
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name
    assert all(torch.isfinite(value).all() for value in model.buffers())


@pytest.mark.parametrize("kind", CONFIGS)
def test_half_of_the_bits_are_enough(kind: str) -> None:
    model = small_ctc(kind).train()
    batch = inputs(model)
    expected = outputs(small_ctc(kind).train(), batch)
    with torch.autocast("cpu", torch.bfloat16):
        log_probs, frames = model(*batch)
    log_probs.sum().backward()
    assert log_probs.dtype == torch.float32
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters() if parameter.requires_grad)
    found = torch.cat([row[:count] for row, count in zip(log_probs, frames.tolist(), strict=True)])
    torch.testing.assert_close(found.exp(), expected.exp(), rtol=0, atol=0.02)


def test_batch_norm_is_torchs_on_real_frames() -> None:
    torch.manual_seed(0)
    x, frames = torch.randn(4, 6, 20) * 3 + 1, torch.tensor([20, 11, 5, 16])
    real = torch.arange(20) < frames[:, None]
    own, reference = BatchNorm(6).train(), torch.nn.BatchNorm1d(6).train()
    flat = x.transpose(1, 2)[real]
    for _ in range(3):
        torch.testing.assert_close(own(x, real).transpose(1, 2)[real], reference(flat), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(own.running_mean, reference.running_mean)
    torch.testing.assert_close(own.running_var, reference.running_var)
    own.eval(), reference.eval()
    torch.testing.assert_close(own(x, real).transpose(1, 2)[real], reference(flat), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@torch.no_grad()
def test_directions_are_torchs_bidirectional_layer(cell: str) -> None:
    torch.manual_seed(0)
    reference = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell](19, 11, batch_first=True, bidirectional=True)
    layer = Bidirectional(19, cell, DirectionWidths(11, 11))
    for suffix, own in (("", layer.ahead), ("_reverse", layer.back)):
        for name, parameter in own.named_parameters():
            parameter.copy_(getattr(reference, name + suffix))
    features, frames = torch.randn(3, 41, 19), torch.tensor([41, 26, 3])
    packed = torch.nn.utils.rnn.pack_padded_sequence(features, frames, batch_first=True)
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(reference(packed)[0], batch_first=True)
    found = layer(features, frames)
    for row, count in enumerate(frames.tolist()):
        torch.testing.assert_close(found[row, :count], expected[row, :count], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", CONFIGS)
def test_parameters_equal_the_state_dict(kind: str) -> None:
    counted = count_parameters(CONFIGS[kind])
    real = CtcModel(CONFIGS[kind]).state_dict()
    assert counted["total"] == sum(value.numel() for value in real.values())
    for part, count in counted.items():
        if part.startswith(("subsampling", "inception", "output", "conformer.project")):
            assert count == sum(v.numel() for n, v in real.items() if n.startswith(f"{part}.")), part


@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # torch, when oneDNN is switched
@pytest.mark.parametrize("kind", [kind for kind in CONFIGS if kind != "streaming"])  # in torch it looks, then forgets
@torch.no_grad()
def test_macs_equal_torchs_flop_counter(kind: str) -> None:
    config = CONFIGS[kind]
    model, seconds = small_ctc(kind), 1.0
    frames = config.front_end.frames(16000)
    # oneDNN's LSTM is one operator, which the counter does not know.
    with FlopCounterMode(display=False) as counter, torch.backends.mkldnn.flags(enabled=False):
        model(torch.randn(1, frames, config.front_end.inputs))
    assert count_macs(config, seconds)["total"] == counter.get_total_flops() // 2


def test_a_clip_without_length_has_no_cost() -> None:
    with pytest.raises(SecateurError, match="no length"):
        count_macs(PLAIN, 0.0)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_size_they_say(name: str) -> None:
    config = PRESETS[name](30)
    total = count_parameters(config)["total"]
    assert (100e3 < total < 300e3) if name == "digits" else (1e6 < total < 6e6)
    assert f" {total / 1e6:.2g} M parameters." in PRESETS[name].__doc__
    assert parse_config(to_dict(config), "config") == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"units": 1}, "units must be the blank and at least one more, found 1"),
        ({"subsampling": SubsamplingWidths((4, 4, 4))}, "one convolution \\(x2\\) or two"),
        ({"inception": InceptionWidths(4, 3, ())}, "stride is 1, 2 or 4, found 3"),
        ({"inception": InceptionWidths(4, 1, ((BranchWidths("five", (1,)),),))}, "'five' has 3 convolutions"),
        ({"inception": InceptionWidths(0, 1, ())}, "every width must be at least 1"),
    ],
)
def test_widths_that_no_network_has_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PLAIN, **changes)
    values = to_dict(PLAIN) | {k: to_dict(v) for k, v in changes.items()}
    with pytest.raises(SecateurError, match=message):
        parse_config(values, "config.json")


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(SecateurError, match="did you mean 'recurrent'"):
        parse_config(to_dict(PLAIN) | {"recurent": None}, "config.json")
    assert isinstance(parse_config(to_dict(PLAIN), "config.json"), CtcConfig)


@pytest.mark.parametrize("length", [1, 3, 5, 6, 23])
def test_scores_by_distance_and_their_gradient_are_those_of_indexing(length: int) -> None:
    attention = small_ctc("conformer").conformer.layers[0].attention
    steps = torch.arange(length)
    apart = (steps - steps[:, None]).clamp(-4, 4) + 4  # the small model tells distances up to 4 apart
    weights = torch.randn(3, length, length, generator=torch.Generator().manual_seed(0))
    gradients = []
    for scores in (attention.distance[:, apart], attention.by_distance(length)):
        attention.distance.grad = None
        (scores * weights).sum().backward()
        gradients.append(attention.distance.grad)
        assert torch.equal(scores, attention.distance[:, apart])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-5)
