"""What the finance monitor ships to be tried with: headlines, prior rules, feeds, their server."""
