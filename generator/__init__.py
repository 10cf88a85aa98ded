"""Reads `spec/`, writes `generated/`. Never imported by the product."""
