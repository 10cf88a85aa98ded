"""The state machines: from transition tables to conformance tests and pages."""
