"""Benchmarks and quality measurements."""
