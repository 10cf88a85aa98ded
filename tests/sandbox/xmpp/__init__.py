"""Tests of the chat of the sandbox, over real sockets."""
