"""`python -m memmie_gateway` is `memmie-gateway`."""

import sys

from memmie_gateway.app.cli import main

sys.exit(main())
