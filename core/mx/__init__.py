"""Mexican identifiers and calendars. No Django here."""
