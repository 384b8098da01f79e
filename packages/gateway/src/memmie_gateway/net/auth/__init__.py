"""Token validation with Auth.

`authenticator` has the cache, `guard` the circuit breaker with `places` and `trial`, `question` the HTTP requests.
"""
