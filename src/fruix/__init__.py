"""Fruix: a functional package build daemon and its command line.

The layers, each importing only from those before it (contracts in pyproject.toml): errors,
failpoints, model, graph, store, sandbox, hostview, building, protocol, client, daemon, packages,
testing, cli.
"""

__version__ = "0.1.0"
