"""Upper bounds of a model's widths: a foreign checkpoint's claims are compared with them before anything is built."""

MOST = {
    "width": 16384, "heads": 512, "ffn": 65536, "encoder_layers": 512, "decoder_layers": 512, "vocabulary": 1_000_000,
    "audio_context": 100_000, "text_context": 100_000, "bins": 1024,
}  # fmt: skip
