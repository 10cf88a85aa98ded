"""What others take to chat over the same server: raw slixmpp and the official JavaScript SDK."""
