"""`python -m connectycube.cli`."""

import sys

from connectycube._extras import cli

sys.exit(cli())
