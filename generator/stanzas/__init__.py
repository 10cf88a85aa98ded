"""The stanza half: from the stanza language to typed classes, conformance tests and pages."""
