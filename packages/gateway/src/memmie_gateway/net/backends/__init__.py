"""Backends: their set (`pool`), the choice (`dispatcher`), the connection (`dialer`), health checks (`prober`)."""
