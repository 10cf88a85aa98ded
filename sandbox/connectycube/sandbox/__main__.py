"""`python -m connectycube.sandbox`."""

import sys

from .cli import main

sys.exit(main())
