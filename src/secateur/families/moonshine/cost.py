"""What a Moonshine costs, from its config alone: parameters, and multiply-accumulates for one clip (no torch here).

Both are exact sums over the layers in `model.py`. Notation: w width, p positions of the memory, n tokens.
"""

from __future__ import annotations

from .config import STRIDES, TAPS, GroupedAttentionWidths, MoonshineConfig


def count_parameters(config: MoonshineConfig) -> dict[str, int]:
    """Values stored in the network, by part and as `total`, which equals the sum over the real `state_dict`.

    Parts are named as in `Moonshine.groups`. The output layer is the token embedding and is counted once.
    """
    w, (first, second) = config.width, config.convs
    parts = {
        "encoder.conv1": TAPS[0] * first + 2 * first,  # with the norm
        "encoder.conv2": (TAPS[1] * first + 1) * second,
        "encoder.conv3": (TAPS[2] * second + 1) * w,
    }
    for i, e in enumerate(config.encoder):
        parts[f"encoder.layers.{i}.attention"] = w + _attention(config, e.attention)
        parts[f"encoder.layers.{i}.ffn"] = w + e.ffn * (w + 1) + (e.ffn + 1) * w
    if config.merge_weights:
        parts["encoder.merges"] = config.merge_weights * w
    parts["encoder.norm"] = w
    parts["vocabulary"] = config.vocabulary * w
    for i, d in enumerate(config.decoder):
        parts[f"decoder.layers.{i}.self_attention"] = w + _attention(config, d.self_attention)
        parts[f"decoder.layers.{i}.cross_attention"] = w + _attention(config, d.cross_attention)
        parts[f"decoder.layers.{i}.ffn"] = w + 2 * d.ffn * (w + 1) + (d.ffn + 1) * w
    parts["decoder.norm"] = w
    return {**parts, "total": sum(parts.values())}


def _attention(config: MoonshineConfig, a: GroupedAttentionWidths) -> int:
    """Queries and output, keys and values."""
    keys = a.heads * config.head_size
    return (2 * a.queries + 2) * keys * config.width + config.bias * (a.queries + 2) * keys


def macs_by_part(config: MoonshineConfig, seconds: float, tokens: int) -> dict[str, int]:
    """Multiply-accumulates to transcribe one clip of `seconds` (at most the window) into `tokens` text tokens,
    greedily, with a KV cache.

    Counted: convolutions, projections, attention scores and sums, feed-forward, logits (`tokens` + 1 times). Not
    counted, below 1 % together: biases, norms, rotations, activations, softmax.
    """
    w, d, (first, second) = config.width, config.head_size, config.convs
    samples = round(min(seconds, config.max_seconds) * config.front_end.sample_rate)
    frames = []
    for taps, stride in zip(TAPS, STRIDES, strict=True):
        samples = (max(samples, taps) - taps) // stride + 1
        frames.append(samples)
    *read, p = config.frames_read(frames[-1])
    n = min(len(config.tokens.prompt()) + tokens, config.text_context)

    def projections(a: GroupedAttentionWidths) -> int:
        return (2 * a.queries + 2) * a.heads * d * w

    def pair(a: GroupedAttentionWidths) -> int:
        return 2 * a.queries * a.heads * d

    cross = [layer.cross_attention for layer in config.decoder]
    return {
        "encoder conv": TAPS[0] * first * frames[0]
        + TAPS[1] * first * second * frames[1]
        + TAPS[2] * second * w * frames[-1],
        "encoder attention": sum(
            p * projections(e.attention) + p * p * pair(e.attention) for p, e in zip(read, config.encoder, strict=True)
        ),
        "encoder ffn": sum(p * 2 * w * e.ffn for p, e in zip(read, config.encoder, strict=True)),
        "decoder logits": (n - len(config.tokens.prompt()) + 1) * config.vocabulary * w,
        "decoder self": sum(
            n * projections(layer.self_attention) + n * (n + 1) // 2 * pair(layer.self_attention)
            for layer in config.decoder
        ),
        "decoder memory": sum(p * 2 * a.heads * d * w for a in cross),
        "decoder cross": sum(n * 2 * a.queries * a.heads * d * w + n * p * pair(a) for a in cross),
        "decoder ffn": sum(n * 3 * w * layer.ffn for layer in config.decoder),
    }
