"""The support desk: it answers what it is sure of, asks, or hands over, and learns."""
