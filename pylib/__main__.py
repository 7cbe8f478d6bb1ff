"""``python -m pylib``."""

import sys

from pylib.cli import main

sys.exit(main())
