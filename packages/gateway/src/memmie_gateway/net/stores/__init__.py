"""The stores that count for the limits: `local` counts in this process."""
