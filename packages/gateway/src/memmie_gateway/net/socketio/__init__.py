"""Clients that speak Socket.IO: their transports, and what a session sees of them."""
