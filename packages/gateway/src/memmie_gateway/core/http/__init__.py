"""HTTP: heads, headers and credentials, as values."""
