"""What the gateway forwards to: the live set (`pool`), who is tried (`dispatcher`), the connection (`dialer`), health (`prober`)."""
