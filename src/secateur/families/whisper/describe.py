"""A Whisper's widths layer by layer, for reports, and the positions that stay of cut contexts (no torch here)."""

from __future__ import annotations

from .config import AttentionWidths, WhisperConfig


def layers_of(config: WhisperConfig) -> dict[str, dict[str, int]]:
    """Widths by layer ("encoder 0") and column ("heads"); the row "" has what is outside the layers."""

    def attention(widths: AttentionWidths) -> tuple[int, int, int]:
        return widths.heads, widths.query_key, widths.value

    own, cross = ("heads", "q/k dims", "value dims"), ("cross heads", "cross q/k", "cross value")
    rows: dict[str, dict[str, int]] = {}
    for i, e in enumerate(config.encoder):
        rows[f"encoder {i}"] = {**dict(zip(own, attention(e.attention), strict=True)), "FFN units": e.ffn}
    for i, d in enumerate(config.decoder):
        rows[f"decoder {i}"] = {
            **dict(zip(own, attention(d.self_attention), strict=True)),
            **dict(zip(cross, attention(d.cross_attention), strict=True)),
            "FFN units": d.ffn,
        }
    for name, rank in config.ranks.items():
        side, _, rest = name.partition(".layers.")
        number, _, matrix = rest.partition(".")
        rows.setdefault(f"{side} {number}" if rest else "", {})[f"{matrix or side} rank"] = rank
    rows[""] = rows.get("", {}) | {
        "encoder layers": len(config.encoder),
        "decoder layers": len(config.decoder),
        "vocabulary rows": config.vocabulary,
        "convolution channels": config.conv_channels,
        **({"second convolution's channels": config.conv_outputs} if config.conv_outputs else {}),
        "mel bins": config.front_end.inputs,
        "audio positions": config.audio_context,
        "text positions": config.text_context,
    }
    return rows


def kept_positions(config: WhisperConfig, seconds: float | None, tokens: int | None) -> dict[str, list[int]]:
    """The positions that stay, by group, of an audio context cut to `seconds` and a text context cut to `tokens`."""
    keep: dict[str, list[int]] = {}
    if seconds is not None:
        positions = round(seconds * config.front_end.sample_rate / (2 * config.front_end.hop))
        if positions < config.audio_context:
            keep["encoder.positions"] = list(range(positions))
    if tokens is not None and tokens < config.text_context:
        keep["decoder.positions"] = list(range(tokens))
    return keep
