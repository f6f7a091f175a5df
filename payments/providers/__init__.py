"""Provider adapters, one folder each, in pure Python without Django."""
