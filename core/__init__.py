"""Kernel of nouns without tables: money, ids, clock, errors, Mexican identifiers, state machines, jobs."""
