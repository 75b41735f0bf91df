"""The alert life cycle: a pure fold of alert events into the state of each alert."""
