"""Who may ask, how often, how much, how long, and from where; and what was changed by whom."""
