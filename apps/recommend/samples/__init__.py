"""What the recommender ships to be tried with: a catalogue, and a generator of behaviour in it."""
