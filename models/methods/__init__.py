"""How a text classifier is adapted: one module a way, over the algorithms of the core."""
