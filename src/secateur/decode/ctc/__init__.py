"""From a CTC model's output to text (numpy)."""
