"""What the gateway knows about WebSockets (RFC 6455): handshake, frames, keepalive and the closing handshake."""
