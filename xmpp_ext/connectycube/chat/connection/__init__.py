"""How a chat stays connected: streams, login, stream management, requests. Knows nothing of messages or contacts."""
