"""The runtime of a REST client. What varies with the spec stands in here with sample values."""
