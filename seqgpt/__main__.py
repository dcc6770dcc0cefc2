"""``python -m seqgpt``: the command line."""

import sys

from seqgpt.cli import main

sys.exit(main())
