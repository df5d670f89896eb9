"""Whisper with layers of any widths as a model of `transformers`, `generate` and its cache included; with its feature
extractor, whose bins, sample rate, frame shift or window may differ.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import WhisperConfig as TheirConfig
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration
from transformers.cache_utils import EncoderDecoderCache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.whisper.modeling_whisper import WhisperAttention, eager_attention_forward

from ...base.options import from_dict
from ...features.front_end import FrontEnd
from ...features.whisper import log_mel
from ...models.low_rank import EMBEDDING
from ..seq2seq.layers import frame_merges
from ..whisper.config import AttentionWidths, WhisperConfig
from .secateur_config import secateur_config


class PrunedWhisperConfig(TheirConfig):
    """Whisper's, with our own under `secateur`."""

    model_type = "secateur-whisper"
    secateur: dict[str, Any] | None = None


class PrunedWhisperAttention(WhisperAttention):
    """Any heads, whose queries and keys may have other dimensions than their values."""

    widths: AttentionWidths
    layer_idx: int
    config: Any

    def resize(self, widths: AttentionWidths, scale: float) -> None:
        """Take these widths; scores are multiplied by `scale`."""
        width, h = self.embed_dim, widths.heads
        self.widths, self.num_heads, self.head_dim, self.scaling = widths, h, widths.query_key, scale
        self.q_proj = nn.Linear(width, h * widths.query_key)
        self.k_proj = nn.Linear(width, h * widths.query_key, bias=False)
        self.v_proj = nn.Linear(width, h * widths.value)
        self.out_proj = nn.Linear(h * widths.value, width)

    def forward(  # type: ignore[override]
        self, hidden_states: Tensor, key_value_states: Tensor | None = None, past_key_values: Any = None,
        attention_mask: Tensor | None = None, output_attentions: bool = False, **options: Any,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """(batch, length, width) to the same, and the attention's weights where they are known."""
        batch, length, _ = hidden_states.shape

        def split(x: Tensor) -> Tensor:
            return x.view(batch, -1, self.widths.heads, x.shape[2] // self.widths.heads).transpose(1, 2)

        crossing, cached = key_value_states is not None, False
        if isinstance(past_key_values, EncoderDecoderCache):
            cached = crossing and bool(past_key_values.is_updated.get(self.layer_idx))
            if crossing:
                past_key_values.is_updated[self.layer_idx] = True
                past_key_values = past_key_values.cross_attention_cache
            else:
                past_key_values = past_key_values.self_attention_cache
        if cached:
            keys, values = past_key_values.layers[self.layer_idx].keys, past_key_values.layers[self.layer_idx].values
        else:
            source = hidden_states if key_value_states is None else key_value_states
            keys, values = split(self.k_proj(source)), split(self.v_proj(source))
            if past_key_values is not None:
                keys, values = past_key_values.update(keys, values, self.layer_idx)
        interface = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention_forward)
        attended, weights = interface(
            self, split(self.q_proj(hidden_states)), keys, values, attention_mask,
            dropout=self.dropout if self.training else 0.0, scaling=self.scaling,
            output_attentions=output_attentions, **options,
        )  # fmt: skip
        return self.out_proj(attended.reshape(batch, length, -1)), weights


def resize(whole: Any, config: WhisperConfig) -> None:
    """Give a WhisperForConditionalGeneration the widths of `config`."""
    encoder, decoder = whole.model.encoder, whole.model.decoder
    encoder.conv1 = nn.Conv1d(config.front_end.inputs, config.conv_channels, 3, padding=1)
    encoder.conv2 = nn.Conv1d(config.conv_channels, config.conv_outputs or config.width, 3, stride=2, padding=1)
    if config.conv_outputs:
        _free_streams(whole, config)
    sides: Any = ((encoder.layers, config.encoder), (decoder.layers, config.decoder))
    for layers, every in sides:
        for layer, widths in zip(layers, every, strict=True):
            layer.fc1, layer.fc2 = nn.Linear(config.width, widths.ffn), nn.Linear(widths.ffn, config.width)
            if layers is encoder.layers:
                _replace(layer, "self_attn", widths.attention, config.attention_scale)
                continue
            _replace(layer, "self_attn", widths.self_attention, config.attention_scale)
            _replace(layer, "encoder_attn", widths.cross_attention, config.attention_scale)
    width = config.width if config.merge_learned else None
    encoder.merges = frame_merges(config.frame_merging, width, config.merge_similar)
    for number, merge in enumerate(encoder.merges):
        if merge.factor > 1 and number == 0:
            encoder.layers[0].register_forward_pre_hook(partial(_merge_input, merge))
        elif merge.factor > 1:
            encoder.layers[number - 1].register_forward_hook(partial(_merge_output, merge))


def _free_streams(whole: Any, config: WhisperConfig) -> None:
    """Put matrices around both residual streams: see `models.network.Network.between_matrices`."""
    encoder, decoder, rank = whole.model.encoder, whole.model.decoder, config.ranks[EMBEDDING]
    encoder.embed_positions = nn.Embedding(config.audio_context, config.conv_outputs).requires_grad_(False)
    encoder.projection = nn.Linear(config.conv_outputs, config.width, bias=False)
    encoder.layers[0].register_forward_pre_hook(partial(_project_input, encoder.projection))
    decoder.embed_tokens = nn.Embedding(config.vocabulary, rank, decoder.padding_idx)
    decoder.token_projection = nn.Linear(rank, config.width, bias=False)
    decoder.token_readout = nn.Linear(config.width, rank)
    whole.proj_out = nn.Linear(rank, config.vocabulary, bias=False)
    decoder.embed_tokens.register_forward_hook(partial(_project_output, decoder.token_projection))
    decoder.layer_norm.register_forward_hook(partial(_project_output, decoder.token_readout))
    whole.tie_weights()


def _project_input(layer: nn.Module, _: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return layer(inputs[0]), *inputs[1:]


def _project_output(layer: nn.Module, _: nn.Module, __: Any, output: Tensor) -> Tensor:
    return layer(output)  # type: ignore[no-any-return]


def _merge_input(merge: nn.Module, _: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return merge(inputs[0], None)[0], *inputs[1:]


def _merge_output(merge: nn.Module, _: nn.Module, __: Any, output: Any) -> Any:
    if isinstance(output, tuple):
        return merge(output[0], None)[0], *output[1:]
    return merge(output, None)[0]


def _replace(layer: Any, part: str, widths: AttentionWidths, scale: float) -> None:
    old = getattr(layer, part)
    new = PrunedWhisperAttention(
        old.embed_dim, old.num_heads, old.dropout, old.is_decoder, is_causal=old.is_causal, layer_idx=old.layer_idx,
        config=old.config,
    )  # fmt: skip
    new.resize(widths, scale)
    setattr(layer, part, new)


class PrunedWhisperForConditionalGeneration(WhisperForConditionalGeneration):
    """WhisperForConditionalGeneration with the widths of its config."""

    config_class = PrunedWhisperConfig

    def __init__(self, config: PrunedWhisperConfig) -> None:
        super().__init__(config)
        resize(self, secateur_config(config, WhisperConfig))


class PrunedWhisperFeatureExtractor(WhisperFeatureExtractor):
    """WhisperFeatureExtractor with our `front_end`, and windows of `n_samples`."""

    def __init__(self, front_end: dict[str, Any] | None = None, n_samples: int = 480000, **options: Any) -> None:
        for name in ("nb_max_frames", "mel_filters"):
            options.pop(name, None)
        super().__init__(**options)
        self.front_end, self.n_samples = front_end or {}, n_samples
        self.nb_max_frames = n_samples // self.hop_length

    def _torch_extract_fbank_features(self, waveform: NDArray[np.floating], device: str = "cpu") -> Any:
        return self._np_extract_fbank_features(waveform, device)

    def _np_extract_fbank_features(self, waveform_batch: NDArray[np.floating], device: str = "cpu") -> Any:
        """(batch, samples) to (batch, bins, frames)."""
        front_end = from_dict(FrontEnd, self.front_end, "preprocessor_config.json: front_end")
        return np.stack([log_mel(row, front_end).T for row in waveform_batch])
