"""The platform's rules, in plain Python: both halves of the sandbox stand on them."""
