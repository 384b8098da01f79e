"""An HTTP/1.1 client for any service: host names, connections, responses."""
