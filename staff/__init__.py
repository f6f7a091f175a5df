"""Who works here: how staff sign in, and what limits a guesser."""
