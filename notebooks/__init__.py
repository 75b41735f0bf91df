"""Notebooks to begin with, and what they share. Nothing imports them."""
