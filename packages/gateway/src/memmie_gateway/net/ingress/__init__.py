"""Where clients come in: `listener` reads the head, `admission` decides, `first_message` reads a token that comes late."""
