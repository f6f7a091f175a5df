"""Receiving a notice: store it, apply it, remember the answer — one transaction."""
