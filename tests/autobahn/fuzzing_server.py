"""Starts the suite's fuzzing server on a free port of loopback; the server itself can only listen on a given port of every address.

It runs on Python 2.7, with the arguments of `wstest`, and prints its port as a line of JSON.
"""

from __future__ import print_function  # noqa: UP010 - it does something on Python 2.7

import json

from autobahntestsuite import wstest  # type: ignore[import-not-found]
from twisted.internet import reactor  # type: ignore[import-not-found]

listen = reactor.listenTCP


def listen_on_loopback(_, factory, *_rest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN201
    """Listen on a free port instead of the given one."""
    listening = listen(0, factory, interface="127.0.0.1")
    port = listening.getHost().port
    factory.port = factory.externalPort = port  # it compares them with the Host header
    print(json.dumps({"event": "listening", "port": port}))
    return listening


if __name__ == "__main__":
    reactor.listenTCP = listen_on_loopback
    wstest.run()
