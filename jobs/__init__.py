"""Flink jobs, one a file: topology only; what they compute is in `jobs.windows`."""
