"""``python -m memmie_harness``: the ``memmie`` command where no scripts are on the path."""

import sys

from memmie_harness.cli import main

if __name__ == "__main__":
    sys.exit(main())
