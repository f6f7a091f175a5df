"""What providers and bank say against what we say. Its place in the house is fixed; nothing lives here yet."""
