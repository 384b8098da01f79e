"""Settings for tests with many clients on one address, or many connections of one user."""

from typing import Final

NO_LIMITS: Final = {"MAX_CONNECTIONS_PER_IP": 0, "MAX_CONNECTIONS_PER_USER": 0, "CONNECT_RATE_PER_IP": 0}
