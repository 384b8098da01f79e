"""The conformance kit: black-box tests of what stands between WebSocket clients and servers."""
