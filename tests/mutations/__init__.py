"""Faults put into the product on purpose, to prove that the generated conformance tests catch them."""
