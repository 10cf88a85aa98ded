"""A chat client for ConnectyCube over XMPP."""
