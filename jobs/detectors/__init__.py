"""Detectors, one a file: arrays in, arrays out."""
