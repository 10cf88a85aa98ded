"""The REST side: from HTTP to calls of the domain and back. It contains no rules of the platform."""
