"""Mutated input against `connectycube.stanzas`."""
