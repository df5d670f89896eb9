"""Names that the model hub has for weights in several precisions, the most precise first."""

VARIANTS = ("fp32", "bf16", "fp16")
