"""The variables of an environment, as the gateway reads them.

It imports the standard library only, because the health check of a container needs it every few seconds.
"""

from __future__ import annotations

from collections.abc import Mapping

MAY_BE_EMPTY = frozenset({"HTTP_ROUTES"})
"""Variables of which an empty value is not the same as none."""


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by their name in capital letters, without those that are empty, except `MAY_BE_EMPTY`.

    Names may be in any case; if a variable exists in several cases, the one in capital letters counts.
    """
    in_order = sorted(environment.items(), reverse=True)  # capital letters come last
    return {name.upper(): value for name, value in in_order if value or name.upper() in MAY_BE_EMPTY}
