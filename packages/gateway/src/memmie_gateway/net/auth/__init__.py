"""Token validation with Auth: `authenticator` has the cache and the circuit breaker, `question` the HTTP request."""
