"""The recommender: a catalogue and a stream of events in, lists with reasons out."""
