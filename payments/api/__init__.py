"""Payments as merchants' programs see them."""
