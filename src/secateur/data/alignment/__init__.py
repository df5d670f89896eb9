"""A transcript without times and what was recognised with times: which word is which, and where to cut."""
