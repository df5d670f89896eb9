"""N-gram language models and the tree of words that a search may say (numpy only)."""
