"""The HTTP proxy: `client_side` reads the request and writes the answer, `upstream` asks the service, `exchange` joins them."""
