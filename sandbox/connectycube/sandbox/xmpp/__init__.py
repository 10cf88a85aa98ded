"""The sandbox's chat: an XMPP server over TCP, TLS and WebSocket, which shares its rules and store with REST.

`late` loads it when it is first needed, because loading it takes as long as the rest of the start.
"""
