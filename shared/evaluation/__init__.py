"""How good a model is, how far it can be believed, and whether it may replace another."""
