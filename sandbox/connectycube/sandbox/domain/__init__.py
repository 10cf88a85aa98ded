"""The platform's rules, which REST and the chat share."""
