"""Backends: which one gets a connection, and what counts against one."""
