"""The sentiment index: pure functions of stored scores, and the queries that feed them."""
