"""secateur: prune a speech recogniser until it makes fewer mistakes."""

__version__ = "0.1.0"
