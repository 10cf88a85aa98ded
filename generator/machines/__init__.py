"""The state machines: checks of their transition tables, and pages about them."""
