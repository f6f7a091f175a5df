"""One module an environment; they differ in values only."""
