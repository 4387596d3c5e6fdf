"""Where examples come from: files, databases, public data sets, feedback."""
