"""The config's arithmetic against the real network: stored values, and torch's own flop counter."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from secateur.base.errors import SecateurError
from secateur.families.whisper.config import AttentionWidths, DecoderWidths, EncoderWidths, WhisperConfig, uniform
from secateur.families.whisper.cost import count_macs, count_parameters
from secateur.features.front_end import FrontEnd
from secateur.text.tokens import Tokens

torch = pytest.importorskip("torch")
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from secateur.families.whisper.model import Whisper  # noqa: E402

TINY = uniform(
    width=384, heads=6, ffn=1536, encoder_layers=4, decoder_layers=4, vocabulary=51864,
    tokens=Tokens(start=50257, end=50256, no_timestamps=50362, timestamps=50363, timestamp_count=1501),
)  # fmt: skip
UNEVEN = WhisperConfig(
    width=48, conv_channels=40, audio_context=600, text_context=64, vocabulary=300,
    encoder=(
        EncoderWidths(AttentionWidths(3, 10, 16), 72),
        EncoderWidths(AttentionWidths(1, 16, 4), 200),
        EncoderWidths(AttentionWidths(4, 8, 12), 8),
    ),
    decoder=(
        DecoderWidths(AttentionWidths(2, 6, 16), AttentionWidths(3, 16, 9), 33),
        DecoderWidths(AttentionWidths(1, 5, 7), AttentionWidths(1, 4, 16), 120),
    ),
    tokens=Tokens(start=298, end=297, no_timestamps=299),
    front_end=FrontEnd(bins=80, kept_bins=tuple(range(10, 71))),
    attention_scale=0.25,
)  # fmt: skip
# The same, its width cut from 56, rows of the embedding factored.
CUT = replace(UNEVEN, conv_outputs=56, ranks={"decoder.token_embedding": 50, "encoder.layers.1.ffn.up": 20})


def real(config: WhisperConfig) -> int:
    with torch.device("meta"):
        return sum(value.numel() for value in Whisper(config).state_dict().values())


@pytest.mark.parametrize("config", [TINY, UNEVEN, CUT, replace(UNEVEN, decoder=UNEVEN.decoder[:1])])
def test_parameters_equal_the_state_dict(config: WhisperConfig) -> None:
    counted = count_parameters(config)
    assert counted["total"] == real(config)
    assert sum(n for part, n in counted.items() if part != "total") == counted["total"]


def test_published_size_of_tiny_en() -> None:
    # 37.8 M as published (Radford et al. 2022 round to 39 M), 53 % of it in the token embedding.
    counted = count_parameters(TINY)
    assert round(counted["total"] / 1e6, 1) == 37.8
    assert round(counted["vocabulary"] / counted["total"], 2) == 0.53


def test_shrinking_the_config_saves_what_the_network_saves() -> None:
    keep = {
        "encoder.layers.0.attention.heads": [0, 2],
        "decoder.layers.1.ffn": list(range(50)),
        "vocabulary": list(range(299)),
    }
    small = replace(UNEVEN, tokens=Tokens(start=298, end=297)).shrunk(keep)
    assert count_parameters(small)["total"] == real(small) < real(UNEVEN)


def measured(config: WhisperConfig, seconds: float, tokens: int, padded: bool) -> tuple[float, float]:
    """Multiply-accumulates of the encoder, and of the decoder's steps, as torch counts them on the real network."""
    frames = 2 * config.audio_context if padded else round(seconds * 100)
    counts = []
    # Only shapes matter: nothing is computed. The counter sees attention only as plain products, not as a fused kernel.
    with torch.device("meta"), torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model = Whisper(config).eval()
        memory, valid = model.encoder(torch.zeros(1, frames, config.front_end.inputs), None, model.dropout)
        counts.append(counter.get_total_flops() / 2)
        cache = model.decoder.start(memory, valid)
        model.step(torch.tensor([config.tokens.prompt()]), cache)
        for _ in range(tokens):
            model.step(torch.tensor([[5]]), cache)
        counts.append(counter.get_total_flops() / 2 - counts[0])
    return counts[0], counts[1]


@pytest.mark.parametrize(
    ("config", "seconds", "tokens", "padded"),
    [
        (TINY, 4.0, 12, False),
        (TINY, 4.0, 3, True),
        (UNEVEN, 11.9, 40, False),
        (UNEVEN, 2.5, 20, True),
        (CUT, 2.5, 20, False),
    ],
)
def test_macs_equal_what_torch_counts(config: WhisperConfig, seconds: float, tokens: int, padded: bool) -> None:
    counted = count_macs(config, seconds, tokens, padded)
    encoder, decoder = measured(config, seconds, tokens, padded)
    assert counted["encoder"] == pytest.approx(encoder, rel=0.01)
    assert counted["decoder"] == pytest.approx(decoder, rel=0.01)
    assert counted["total"] == counted["encoder"] + counted["decoder"]


def test_padding_follows_the_config_and_costs() -> None:
    cut = replace(UNEVEN, padded=False)
    assert count_macs(UNEVEN, 3, 10) == count_macs(UNEVEN, 3, 10, padded=True) == count_macs(cut, 3, 10, padded=True)
    assert count_macs(cut, 3, 10)["total"] < count_macs(UNEVEN, 3, 10)["total"]
    # 12 s fill this window: cutting to the clip saves nothing then.
    assert count_macs(cut, 12, 10) == count_macs(UNEVEN, 12, 10)


@pytest.mark.parametrize(("seconds", "tokens"), [(13, 5), (0, 5), (3, 63), (3, -1)])
def test_what_does_not_fit_is_refused(seconds: float, tokens: int) -> None:
    with pytest.raises(SecateurError):
        count_macs(UNEVEN, seconds, tokens)


def test_no_torch_needed() -> None:
    code = "import sys, secateur.families.whisper.cost; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
