"""Drawings and forms that the recommender's pages share."""
