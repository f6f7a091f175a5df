"""Mexican identifiers and calendars, without Django."""
