"""Other chat libraries on the same server: raw slixmpp and the official JavaScript SDK."""
