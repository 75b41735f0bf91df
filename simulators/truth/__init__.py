"""Joins truth and alerts: recall and precision."""
