"""The whole stack for tests and for a laptop: a pytest plugin, gateway targets and the `memmie` command.

Importing this package must stay cheap, because pytest imports it at every start, even if no test uses the plugin.
"""
