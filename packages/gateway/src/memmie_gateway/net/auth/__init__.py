"""The question to Auth and its answer: `authenticator` remembers and shares answers, the breaker spares a sick Auth."""
