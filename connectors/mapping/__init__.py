"""Mappings: what devices publish in a form of their own becomes readings. Pure; the bridge and `discover` use it."""
