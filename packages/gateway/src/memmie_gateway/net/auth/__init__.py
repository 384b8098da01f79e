"""Validating tokens with Auth: `authenticator` caches and shares verdicts behind a circuit breaker, `question` is the HTTP."""
