"""CTC models of `transformers`: Wav2Vec2 and HuBERT, with a width of its own for every layer."""
