"""Acoustic features: one definition, in numpy for the runtime (`extract`) and in torch for training (`extractor`)."""
