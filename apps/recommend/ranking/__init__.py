"""From scores to a list: what may be shown, what is shown, and why. Pure decisions on arrays."""
