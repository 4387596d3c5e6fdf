"""What a story says: sentiment overall and per company, event type, and prior rules."""
