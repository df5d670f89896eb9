"""Studies: does pruning lower the error rate? Many arms at equal compute, seeds, intervals, one table and a page."""
