"""The chat of the sandbox: an XMPP server over TCP, TLS and WebSocket, on the core's rules and store.

`late` brings it in when it is first needed: to load it takes as long as the rest of the start.
"""
