"""`python -m memmie_harness` runs the `memmie` command where scripts are not on the path."""

from __future__ import annotations

import sys

from memmie_harness.cli import main

if __name__ == "__main__":
    sys.exit(main())
