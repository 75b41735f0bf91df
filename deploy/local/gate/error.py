"""What the gate refuses to do."""


class GateError(Exception):
    """It can't be done; the message says why and what to do next."""
