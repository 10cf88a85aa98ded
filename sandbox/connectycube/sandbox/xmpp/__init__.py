"""The chat of the sandbox: an XMPP server over TCP, TLS and WebSocket, on the core's rules and store."""

from .server import ChatAddress, XmppServer

__all__ = ["ChatAddress", "XmppServer"]
