"""What can be done with a verification case."""
