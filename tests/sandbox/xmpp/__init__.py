"""Tests of the sandbox's chat, over real sockets."""
