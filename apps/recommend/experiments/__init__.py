"""A/B tests of lists: who sees which arm, what was shown, what was clicked."""
