"""Whisper with a width for every layer."""
