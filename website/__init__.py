"""What the documentation site shows besides `docs/`: the reference, pages from elsewhere, and plots."""
