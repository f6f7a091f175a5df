"""Shared code without tables: money, ids, clock, errors, Mexican identifiers, state machines, jobs."""
