"""Ready-made profiles, and the small programs that they start."""
