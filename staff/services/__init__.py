"""What keeps the door of the back office."""
