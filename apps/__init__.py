"""The applications, and what wires them together: commands, the API, the pages."""
