"""Pruning single weights: zeros inside matrices that keep their shape. They buy no time in stock runtimes."""
