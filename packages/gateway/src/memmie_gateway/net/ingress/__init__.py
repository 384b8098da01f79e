"""Incoming clients: `listener` reads the head, `admission` admits, `upgrade` answers, `first_message` reads a late token."""
