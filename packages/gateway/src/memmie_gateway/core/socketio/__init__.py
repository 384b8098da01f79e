"""Socket.IO: packets, and the translation between events of clients and messages of backends."""
