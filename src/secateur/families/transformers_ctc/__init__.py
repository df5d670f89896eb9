"""CTC models of `transformers`: Wav2Vec2, HuBERT and WavLM, with a width of its own for every layer."""
