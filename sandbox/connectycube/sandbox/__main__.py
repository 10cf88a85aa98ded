"""`python -m connectycube.sandbox`."""

import sys

from connectycube._extras import sandbox

sys.exit(sandbox())
