"""A seeded fleet: signals and faults."""
