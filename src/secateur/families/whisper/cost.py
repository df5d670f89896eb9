"""What a Whisper costs, from its config alone: parameters, and multiply-accumulates for one clip (no torch here).

Both are exact sums over the layers in `model.py`, so that a budget can be checked before anything is pruned.
Notation: w width, c convolution channels, h heads, q and v dimensions per head of queries/keys and of values.
"""

from __future__ import annotations

import math

from ...base.errors import SecateurError
from ...models.frame_merging import merged_length
from .config import AttentionWidths, WhisperConfig

KERNEL = 3  # taps of both convolutions


def count_parameters(config: WhisperConfig) -> dict[str, int]:
    """Values stored in the network, by part and as `total` (positions and norms included).

    Parts are named as in `Whisper.groups`: `encoder.conv1`, `encoder.layers.0.attention` (with its norm), `vocabulary`.
    The output layer is the token embedding and is counted once. `total` equals the sum over the real `state_dict`.
    """
    w, c = config.width, config.conv_channels
    merges = [f for f in config.frame_merging if f > 1] if config.merge_learned else []
    parts = {
        "encoder.conv1": KERNEL * config.front_end.inputs * c + c,
        "encoder.conv2": KERNEL * c * w + w,
        "encoder.positions": config.audio_context * w,
    }
    for i, e in enumerate(config.encoder):
        parts[f"encoder.layers.{i}.attention"] = _attention_parameters(w, e.attention)
        parts[f"encoder.layers.{i}.ffn"] = _ffn_parameters(w, e.ffn)
    if merges:
        parts["encoder.merges"] = sum(merges) * w
    parts["encoder.norm"] = 2 * w
    parts["vocabulary"] = config.vocabulary * w
    parts["decoder.positions"] = config.text_context * w
    for i, d in enumerate(config.decoder):
        parts[f"decoder.layers.{i}.self_attention"] = _attention_parameters(w, d.self_attention)
        parts[f"decoder.layers.{i}.cross_attention"] = _attention_parameters(w, d.cross_attention)
        parts[f"decoder.layers.{i}.ffn"] = _ffn_parameters(w, d.ffn)
    parts["decoder.norm"] = 2 * w
    return {**parts, "total": sum(parts.values())}


def _attention_parameters(w: int, a: AttentionWidths) -> int:
    """Norm 2w; query hq(w+1); key hqw (no bias); value hv(w+1); out (hv+1)w."""
    q, v = a.heads * a.query_key, a.heads * a.value
    return 2 * w + q * (w + 1) + q * w + v * (w + 1) + (v + 1) * w


def _ffn_parameters(w: int, units: int) -> int:
    """Norm 2w; up units(w+1); down (units+1)w."""
    return 2 * w + units * (w + 1) + (units + 1) * w


def encoder_positions(config: WhisperConfig, seconds: float, padded: bool) -> int:
    """Encoder positions (20 ms each) for a clip: all of them when padded, else ceil(frames / 2).

    Raises:
        SecateurError: the clip is empty or longer than one window.
    """
    if not 0 < seconds <= config.max_seconds:
        raise SecateurError(f"a clip of {seconds:g} s: this model's window takes 0 to {config.max_seconds:g} s")
    if padded:
        return config.audio_context
    frames = math.ceil(seconds * config.front_end.sample_rate / config.front_end.hop - 1e-9)
    return min((frames + 1) // 2, config.audio_context)


def count_macs(config: WhisperConfig, seconds: float, tokens: int, padded: bool | None = None) -> dict[str, int]:
    """Multiply-accumulates to transcribe one clip of `seconds` into `tokens` text tokens, greedily, with a KV cache.

    Keys: `encoder`, `decoder`, `total`. `padded` says whether the clip is padded to the whole audio context
    (None: as the config says). Counted: convolutions, projections, attention scores and sums, FFN, logits. Not
    counted, below 1 % together: biases, norms, GELU, softmax, features.

    - encoder, p positions: 2p * 3 * inputs * c + p * 3cw, and a layer: p * projections + p² * h(q+v) + p * 2 * w * ffn
      (p is smaller after a merge of frames)
    - decoder, once a clip: the memory's keys and values, p * wh(q+v) a layer
    - decoder, n = prompt + tokens steps: self projections, h(q+v) * n(n+1)/2 for the cache (position i sees i+1 keys),
      cross query and output, h(q+v) * p a step, FFN; logits vocabulary * w, tokens + 1 times (the last one is the end)

    Raises:
        SecateurError: the clip or the transcript does not fit the model.
    """
    parts = macs_by_part(config, seconds, tokens, padded)
    encoder = sum(macs for name, macs in parts.items() if name.startswith("encoder"))
    total = sum(parts.values())
    return {"encoder": encoder, "decoder": total - encoder, "total": total}


def macs_by_part(config: WhisperConfig, seconds: float, tokens: int, padded: bool | None = None) -> dict[str, int]:
    """What `count_macs` adds up, over layers: `encoder conv`, `encoder attention`, `encoder ffn`, `decoder memory`,
    `decoder self`, `decoder cross`, `decoder ffn`, `decoder logits`.

    Raises:
        SecateurError: see `count_macs`.
    """
    p = encoder_positions(config, seconds, config.padded if padded is None else padded)
    prompt = len(config.tokens.prompt())
    n = prompt + tokens
    if tokens < 0 or n > config.text_context:
        raise SecateurError(f"{tokens} tokens after a prompt of {prompt}: the text context holds {config.text_context}")
    w, c = config.width, config.conv_channels
    merging = config.frame_merging or (1,) * (len(config.encoder) + 1)
    read = [merged_length(p, merging[: i + 1]) for i in range(len(config.encoder))]  # positions that each layer reads
    parts = {
        "encoder conv": 2 * p * KERNEL * config.front_end.inputs * c + p * KERNEL * c * w,
        "encoder attention": sum(
            n * _projections(w, e.attention) + n * n * _pair(e.attention)
            for n, e in zip(read, config.encoder, strict=True)
        ),
        "encoder ffn": sum(n * 2 * w * e.ffn for n, e in zip(read, config.encoder, strict=True)),
        "decoder logits": (tokens + 1) * config.vocabulary * w,
    }
    parts["decoder self"] = sum(
        n * _projections(w, d.self_attention) + n * (n + 1) // 2 * _pair(d.self_attention) for d in config.decoder
    )
    # Query and output have as many columns as keys and values: half of the projections each.
    cross = sum(_pair(d.cross_attention) for d in config.decoder)
    p = merged_length(p, merging)
    parts |= {"decoder memory": p * w * cross, "decoder cross": n * w * cross + n * p * cross}
    return {**parts, "decoder ffn": sum(n * 2 * w * d.ffn for d in config.decoder)}


def _projections(w: int, a: AttentionWidths) -> int:
    """Query, key, value and output of one position: 2wh(q+v)."""
    return 2 * w * _pair(a)


def _pair(a: AttentionWidths) -> int:
    """One query position against one key position: scores hq, weighted sum hv."""
    return a.heads * (a.query_key + a.value)
