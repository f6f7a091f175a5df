"""What can be done with merchants, their keys and their feed."""
