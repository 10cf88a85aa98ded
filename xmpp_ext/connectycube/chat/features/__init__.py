"""What a chat can do: messages, rooms, contacts, privacy lists. Knows nothing of sockets."""
