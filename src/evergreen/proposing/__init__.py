"""A suite drafted from what was accepted, for a person to review: look at the batches, draft, hold the draft against all, compare."""
