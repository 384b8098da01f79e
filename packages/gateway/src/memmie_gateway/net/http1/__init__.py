"""HTTP/1.1 to the services behind the gateway: names, connections and responses. Nothing here knows which service it is."""
