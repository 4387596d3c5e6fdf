"""The recommender as the API serves it."""
