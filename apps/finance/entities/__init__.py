"""Companies: the gazetteer, the watch list, and what links a text to them."""
