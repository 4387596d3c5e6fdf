"""Cards, charts and forms that the pages share."""
