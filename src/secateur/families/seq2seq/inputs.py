"""Encoder inputs from audio on the device: cut to the window, padded to it if the model was trained so."""

from __future__ import annotations

from torch import Tensor, nn

from ...decode.session import TokenConfig


def encoder_inputs(
    extract: nn.Module, audio: Tensor, lengths: Tensor, config: TokenConfig, input_mask: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """Features (batch, frames, inputs) of `audio` (batch, samples), of which `lengths` (batch,) are real, and how many
    frames of each row are (None: all, silence included).

    `extract` is the front-end's `extractor`, `input_mask` the inputs that are not masked (`Network.input_mask`).
    """
    audio, lengths = audio[:, : config.window], lengths.clamp_max(config.window)
    if config.padded:
        features, _ = extract(audio, lengths, pad_to=config.window, input_mask=input_mask)
        return features, None
    features, frames = extract(audio, lengths, input_mask=input_mask)
    return features, frames
