"""The recommender's pages."""
