"""Objects, request bodies and helpers that several test modules share."""
