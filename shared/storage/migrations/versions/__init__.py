"""One file a step of the schema, oldest first. A step is never edited once it is released."""
