"""Proposing a mapping file from messages that were heard. Pure: messages in, a proposal out."""
