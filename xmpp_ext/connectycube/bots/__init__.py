"""Bots that lose nothing."""
