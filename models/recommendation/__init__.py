"""Models that rank a catalogue's items: by behaviour, by text, and by both together."""
