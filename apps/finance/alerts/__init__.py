"""Alert rules: what they say, when they fire, and what became of each alert."""
