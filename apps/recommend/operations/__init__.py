"""Keeping bundles fresh: refits in the background, the gate, promotion, retention."""
