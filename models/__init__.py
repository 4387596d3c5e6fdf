"""Pre-trained encoders, what is built on them, and the registry of versions."""
