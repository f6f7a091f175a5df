"""The only door to the books: ``posting`` writes through ``post``, ``balance`` reads."""
