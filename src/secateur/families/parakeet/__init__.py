"""Parakeet with a CTC output (FastConformer, Rekesh et al. 2023, arXiv 2305.05084), as `transformers` has it."""
