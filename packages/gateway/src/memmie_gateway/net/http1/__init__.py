"""HTTP/1.1 towards Auth and the backends: names, addresses, connections and their answers. It knows neither of the two."""
