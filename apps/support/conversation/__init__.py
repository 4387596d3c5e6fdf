"""A chat: what it decides, what it says, and what is kept of it."""
