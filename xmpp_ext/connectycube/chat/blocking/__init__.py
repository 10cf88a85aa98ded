"""`Chat`: the blocking counterpart of `AsyncChat`, on a thread of its own."""
