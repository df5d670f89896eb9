"""Sizes that no model exceeds: what a foreign checkpoint claims is held against them before anything is built."""

MOST = {
    "width": 16384, "heads": 512, "ffn": 65536, "encoder_layers": 512, "decoder_layers": 512, "vocabulary": 1_000_000,
    "audio_context": 100_000, "text_context": 100_000, "bins": 1024,
}  # fmt: skip
