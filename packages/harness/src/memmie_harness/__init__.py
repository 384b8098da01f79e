"""The whole stack for tests and for a laptop: a pytest plugin, gateway targets and the ``memmie`` command.

Importing this package costs nothing: pytest imports it at every start, also where nobody uses the plugin.
"""
