"""The REST half: from an OpenAPI document to clients, models and conformance tests."""
