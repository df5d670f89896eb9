"""Model families: one folder each, with everything that is known of the family; `models.family` finds them by name."""
