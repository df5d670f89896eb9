"""A package that adds one of everything to secateur, by its entry points alone (see `entry_points.txt`)."""
