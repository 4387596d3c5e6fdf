"""How the desk learns: review, corrections, new intents, training again."""
