"""CTC models of usual sizes, as configs, to train from scratch; `units` counts the output's, with the blank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...features.front_end import FrontEnd, front_end
from ..whisper.config import AttentionWidths, WhisperConfig
from .config import (
    BranchWidths,
    ConformerBlockWidths,
    ConformerWidths,
    CtcConfig,
    DirectionWidths,
    InceptionWidths,
    RecurrentWidths,
    Streaming,
    SubsamplingWidths,
    TrunkWidths,
)

MFCC = front_end("mfcc", deltas=2, normalise="mean_variance")  # 39 inputs
FBANK = front_end("fbank", normalise="mean_variance")  # 80 inputs
PLAIN_FBANK = front_end("fbank")  # the same without normalisation over the clip, to stream


def googlenet_ctc(
    units: int, front_end: FrontEnd = MFCC, layers: int = 9, width: int = 112, stride: int = 4
) -> CtcConfig:
    """Nine Inception blocks over MFCC, as many as GoogLeNet has; a block gives 4 * `width` channels. 2.2 M parameters.

    One output in `stride` frames, 40 ms: so nine blocks have a receptive field of 1.5 s; half the stride would make it
    0.8 s.
    """
    inception = InceptionWidths(2 * width, stride, (_block(width),) * layers)
    return CtcConfig(units, front_end, inception=inception, name="googlenet-ctc")


def googlenet_bigru_ctc(units: int, front_end: FrontEnd = FBANK, layers: int = 3, width: int = 192) -> CtcConfig:
    """Three Inception blocks, then bidirectional GRU layers, one output every 40 ms. 2.6 M parameters."""
    inception = InceptionWidths(192, 4, (_block(96),) * 3)
    return CtcConfig(
        units, front_end, inception=inception, recurrent=_recurrent("gru", layers, width), name="googlenet-bigru-ctc"
    )


def bigru_ctc(units: int, front_end: FrontEnd = FBANK, layers: int = 3, width: int = 192) -> CtcConfig:
    """Two convolutions (x4) and bidirectional GRU layers, one output every 40 ms. 2.1 M parameters."""
    return CtcConfig(
        units, front_end, subsampling=SubsamplingWidths((24, 24)), recurrent=_recurrent("gru", layers, width),
        name="bigru-ctc",
    )  # fmt: skip


def bilstm_ctc(units: int, front_end: FrontEnd = FBANK, layers: int = 3, width: int = 192) -> CtcConfig:
    """The same with LSTM layers. 2.8 M parameters."""
    return CtcConfig(
        units, front_end, subsampling=SubsamplingWidths((24, 24)), recurrent=_recurrent("lstm", layers, width),
        name="bilstm-ctc",
    )  # fmt: skip


def conformer_ctc(
    units: int, front_end: FrontEnd = FBANK, layers: int = 8, width: int = 144, heads: int = 4
) -> CtcConfig:
    """Two convolutions (x4) and Conformer blocks, one output every 40 ms. 4 M parameters."""
    attention = AttentionWidths(heads, width // heads, width // heads)
    block = ConformerBlockWidths(4 * width, attention, width, 4 * width)
    conformer = ConformerWidths(width, (block,) * layers, attention_scale=(width // heads) ** -0.5)
    return CtcConfig(
        units, front_end, subsampling=SubsamplingWidths((32, 32)), conformer=conformer, name="conformer-ctc"
    )


def digits_ctc(units: int, front_end: FrontEnd = MFCC) -> CtcConfig:
    """For a dozen words: two Inception blocks, then one GRU layer; one output every 20 ms. 0.18 M parameters."""
    return CtcConfig(
        units, front_end, inception=InceptionWidths(64, 2, (_block(32),) * 2), recurrent=_recurrent("gru", 1, 96),
        name="digits-ctc",
    )  # fmt: skip


def whisper_ctc(units: int, whisper: WhisperConfig) -> CtcConfig:
    """The encoder of a Whisper of any widths, one output every 20 ms; clips are not padded."""
    trunk = TrunkWidths(
        whisper.width, whisper.conv_channels, whisper.audio_context, whisper.encoder, whisper.attention_scale
    )
    return CtcConfig(units, whisper.front_end, trunk=trunk, name=f"{whisper.name}-ctc")


def streaming_conformer_ctc(
    units: int, front_end: FrontEnd = PLAIN_FBANK, layers: int = 8, width: int = 144, heads: int = 4
) -> CtcConfig:
    """The streaming Conformer: chunks of 0.64 s with 2.56 s of left context. 4 M parameters."""
    offline = conformer_ctc(units, front_end, layers, width, heads)
    return replace(offline, streaming=Streaming(16, 64), name="streaming-conformer-ctc")


def streaming_gru_ctc(units: int, front_end: FrontEnd = PLAIN_FBANK, layers: int = 4, width: int = 256) -> CtcConfig:
    """Two convolutions (x4) and unidirectional GRU layers, chunks of 0.32 s. 1.8 M parameters."""
    recurrent = RecurrentWidths("gru", (DirectionWidths(width, 0),) * layers)
    return CtcConfig(
        units, front_end, subsampling=SubsamplingWidths((24, 24)), recurrent=recurrent, streaming=Streaming(8, 0),
        name="streaming-gru-ctc",
    )  # fmt: skip


PRESETS: dict[str, Callable[..., CtcConfig]] = {
    "googlenet": googlenet_ctc,
    "googlenet-bigru": googlenet_bigru_ctc,
    "bigru": bigru_ctc,
    "bilstm": bilstm_ctc,
    "conformer": conformer_ctc,
    "digits": digits_ctc,
    "streaming-conformer": streaming_conformer_ctc,
    "streaming-gru": streaming_gru_ctc,
}


def _block(width: int) -> tuple[BranchWidths, ...]:
    """Four branches in GoogLeNet's proportions: most channels are over three frames."""
    half = width // 2
    return (
        BranchWidths("one", (width,)),
        BranchWidths("three", (width, 2 * width)),
        BranchWidths("five", (half, half, half)),
        BranchWidths("pool", (half,)),
    )


def _recurrent(cell: str, layers: int, width: int) -> RecurrentWidths:
    directions = (DirectionWidths(width, width),) * layers
    return RecurrentWidths("gru" if cell == "gru" else "lstm", directions)
