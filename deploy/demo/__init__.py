"""The demo: eleven weeks of a real machine and a simulated fleet in about four minutes, through every real part."""
