"""Transcripts: cleaning, normalising, tokens."""
