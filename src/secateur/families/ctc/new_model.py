"""An untrained CTC model: a preset's sizes (`units` counts the output's, with the blank), units from the training
texts, seeded weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from ...base.errors import SecateurError, nearest
from ...features.front_end import FrontEnd, front_end
from ...text.units import Inventory, make_units
from ...weights.fetch import load_model
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
from .model import CtcModel
from .new_settings import NewModel

MFCC = front_end("mfcc", deltas=2, normalise="mean_variance")  # 39 inputs
FBANK = front_end("fbank", normalise="mean_variance")  # 80 inputs
PLAIN_FBANK = front_end("fbank")  # the same without normalisation over the clip, to stream


TRUNK = "whisper"


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
        units,
        front_end,
        subsampling=SubsamplingWidths((24, 24)),
        recurrent=_recurrent("gru", layers, width),
        name="bigru-ctc",
    )


def bilstm_ctc(units: int, front_end: FrontEnd = FBANK, layers: int = 3, width: int = 192) -> CtcConfig:
    """The same with LSTM layers. 2.8 M parameters."""
    return CtcConfig(
        units,
        front_end,
        subsampling=SubsamplingWidths((24, 24)),
        recurrent=_recurrent("lstm", layers, width),
        name="bilstm-ctc",
    )


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
        units,
        front_end,
        inception=InceptionWidths(64, 2, (_block(32),) * 2),
        recurrent=_recurrent("gru", 1, 96),
        name="digits-ctc",
    )


def whisper_ctc(units: int, whisper: WhisperConfig) -> CtcConfig:
    """The encoder of a Whisper of any widths, one output every 20 ms, or for all frames that it merges into one; clips
    are not padded.

    Raises:
        SecateurError: the width of its residual stream was cut, or matrices are of lower rank.
    """
    if whisper.conv_outputs:
        raise SecateurError(f"new.trunk: the width of '{whisper.name}' was cut; name the model it was cut from")
    if any(name.startswith("encoder.") for name in whisper.ranks):
        raise SecateurError(f"new.trunk: matrices of '{whisper.name}' are of lower rank; name the model before that")
    trunk = TrunkWidths(
        whisper.width, whisper.conv_channels, whisper.audio_context, whisper.encoder, whisper.attention_scale
    )
    return CtcConfig(
        units, whisper.front_end, trunk=trunk, name=f"{whisper.name}-ctc", frame_merging=whisper.frame_merging,
        merge_learned=whisper.merge_learned, merge_similar=whisper.merge_similar,
    )  # fmt: skip


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


NAMES = (*PRESETS, TRUNK)


def make_new(new: NewModel, texts: Sequence[str], language: str, seed: int) -> tuple[CtcModel, Inventory]:
    """The network with weights drawn from `seed`, and its units.

    Raises:
        SecateurError: no such preset (with the nearest), or a size that it does not have.
    """
    names = NAMES
    if new.preset not in names:
        known = ", ".join(names)
        raise SecateurError(f"new: no preset '{new.preset}'{nearest(new.preset, names)} (known: {known})")
    if bool(new.trunk) != (new.preset == TRUNK):
        raise SecateurError(f"new: new.trunk names a Whisper for the preset '{TRUNK}', which needs one; no other does")
    if new.preset == TRUNK:
        if new.layers is not None or new.width is not None:
            raise SecateurError(f"new: the preset '{TRUNK}' is as large as the encoder of '{new.trunk}'")
        return on_whisper(new.trunk, make_units(new.units, texts, language, new.pieces), seed)
    preset = PRESETS[new.preset]
    sizes: dict[str, Any] = {k: v for k, v in (("layers", new.layers), ("width", new.width)) if v is not None}
    for name in sizes:
        if name not in inspect.signature(preset).parameters:
            raise SecateurError(f"new: the preset '{new.preset}' has no '{name}' to choose")
    units = make_units(new.units, texts, language, new.pieces)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CtcModel(preset(units.outputs, **sizes)), units


def on_whisper(name: str, units: Inventory, seed: int) -> tuple[CtcModel, Inventory]:
    """A CTC model whose trunk is the encoder of the Whisper `name`; only its output is drawn from `seed`.

    Raises:
        SecateurError: there is no such model, or it is no Whisper.
    """
    whisper, _ = load_model(name)
    if not isinstance(whisper.config, WhisperConfig):
        raise SecateurError(f"new.trunk: '{name}' is no Whisper but of the family '{whisper.config.family}'")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CtcModel(whisper_ctc(units.outputs, whisper.config))
    encoder = whisper.get_submodule("encoder").state_dict()
    state = {n if n.startswith("merges.") else f"trunk.{n}": value for n, value in encoder.items()}
    model.load_state_dict(model.state_dict() | state)
    return model, units
