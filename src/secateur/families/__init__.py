"""Model families: one folder each, with everything that belongs to it; `models.family` finds them by name."""
