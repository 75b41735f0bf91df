"""A recording through a stack of its own, whose clock follows the recording: `tidemark replay --own-stack`."""
