"""The composition root: commands, the embedded stack, the demo, benchmarks."""
