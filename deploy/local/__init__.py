"""The embedded stack: real parts as processes on loopback."""
