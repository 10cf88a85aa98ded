"""Modules that are the same for every spec: copied into the generated packages under their header."""
