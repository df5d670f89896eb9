"""What a Whisper costs, from its config alone: parameters, and multiply-accumulates for one clip (no torch here).

Both are exact sums over the layers in `model.py`, so that a budget can be checked before anything is pruned.
Notation: w width, c convolution channels, h heads, q and v dimensions per head of queries/keys and of values.
"""

from __future__ import annotations

import math

from ...base.errors import SecateurError
from .config import AttentionWidths, WhisperConfig

KERNEL = 3  # taps of both convolutions
EMBEDDING = "decoder.token_embedding"


def count_parameters(config: WhisperConfig) -> dict[str, int]:
    """Values stored in the network, by part and as `total` (positions and norms included).

    Parts are named as in `Whisper.groups`: `encoder.conv1`, `encoder.layers.0.attention` (with its norm), `vocabulary`.
    The output layer is the token embedding and is counted once. `total` equals the sum over the real `state_dict`.
    """
    w, c = config.width, config.conv_channels
    first = config.conv_outputs or w
    parts = {
        "encoder.conv1": KERNEL * config.front_end.inputs * c + c,
        "encoder.conv2": KERNEL * c * first + first,
        "encoder.positions": config.audio_context * first,
    }
    if config.conv_outputs:
        parts["encoder.projection"] = first * w
    for i, e in enumerate(config.encoder):
        parts[f"encoder.layers.{i}.attention"] = _attention_parameters(
            config, f"encoder.layers.{i}.attention", e.attention
        )
        parts[f"encoder.layers.{i}.ffn"] = _ffn_parameters(config, f"encoder.layers.{i}.ffn", e.ffn)
    if config.merge_weights:
        parts["encoder.merges"] = config.merge_weights * w
    parts["encoder.norm"] = 2 * w
    parts["vocabulary"] = config.matrix_values[EMBEDDING]
    parts["decoder.positions"] = config.text_context * w
    for i, d in enumerate(config.decoder):
        for name, widths in (("self_attention", d.self_attention), ("cross_attention", d.cross_attention)):
            part = f"decoder.layers.{i}.{name}"
            parts[part] = _attention_parameters(config, part, widths)
        parts[f"decoder.layers.{i}.ffn"] = _ffn_parameters(config, f"decoder.layers.{i}.ffn", d.ffn)
    parts["decoder.norm"] = 2 * w
    if config.conv_outputs:
        rank = config.ranks[EMBEDDING]
        parts["decoder.token_readout"] = w * rank + rank
    return {**parts, "total": sum(parts.values())}


def _matrix_values(config: WhisperConfig, part: str) -> int:
    """Values of all matrices of `part` (a layer's attention or feed-forward), factored ones as they are stored."""
    return sum(values for name, values in config.matrix_values.items() if name.startswith(f"{part}."))


def _attention_parameters(config: WhisperConfig, part: str, a: AttentionWidths) -> int:
    """Matrices; norm 2w; biases of query (hq), value (hv) and out (w); the key has none."""
    return _matrix_values(config, part) + a.heads * (a.query_key + a.value) + 3 * config.width


def _ffn_parameters(config: WhisperConfig, part: str, units: int) -> int:
    """Matrices; norm 2w; biases of up and down."""
    return _matrix_values(config, part) + units + 3 * config.width


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

    - encoder, p positions: 2p * 3 * inputs * c + p * 3cw (and a cut width's projection), and a layer:
      p * projections + p² * h(q+v) + p * 2 * w * ffn (p is smaller after a merge of frames)
    - decoder, once a clip: the memory's keys and values, p * wh(q+v) a layer
    - decoder, n = prompt + tokens steps: self projections, h(q+v) * n(n+1)/2 for the cache (position i sees i+1 keys),
      cross query and output, h(q+v) * p a step, FFN; logits vocabulary * w, tokens + 1 times (the last one is the end);
      factored rows are also multiplied by their projection where they are read

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
    read = config.frames_read(p)
    first = config.conv_outputs or w
    values = config.matrix_values

    def of(part: str, *names: str) -> int:
        """Values of the matrices `names` of `part`: multiply-accumulates of one position."""
        return sum(values[f"{part}.{name}"] for name in names)

    encoder, decoder = list(enumerate(config.encoder)), list(enumerate(config.decoder))
    own = ("query", "key", "value", "out")
    parts = {
        "encoder conv": p * (KERNEL * c * (2 * config.front_end.inputs + first) + w * config.conv_outputs),
        "encoder attention": sum(
            read[i] * of(f"encoder.layers.{i}.attention", *own) + read[i] ** 2 * _pair(e.attention) for i, e in encoder
        ),
        "encoder ffn": sum(read[i] * of(f"encoder.layers.{i}.ffn", "up", "down") for i, _ in encoder),
        "decoder logits": (tokens + 1) * values[EMBEDDING] + n * w * config.ranks.get(EMBEDDING, 0),
    }
    parts["decoder self"] = sum(
        n * of(f"decoder.layers.{i}.self_attention", *own) + n * (n + 1) // 2 * _pair(d.self_attention)
        for i, d in decoder
    )
    p = read[-1]
    crosses = [f"decoder.layers.{i}.cross_attention" for i, _ in decoder]
    parts["decoder memory"] = p * sum(of(cross, "key", "value") for cross in crosses)
    parts["decoder cross"] = n * sum(of(cross, "query", "out") for cross in crosses)
    parts["decoder cross"] += n * p * sum(_pair(d.cross_attention) for _, d in decoder)
    return {**parts, "decoder ffn": sum(n * of(f"decoder.layers.{i}.ffn", "up", "down") for i, _ in decoder)}


def _pair(a: AttentionWidths) -> int:
    """One query position against one key position: scores hq, weighted sum hv."""
    return a.heads * (a.query_key + a.value)
