"""Fruix: a functional package build daemon and its command line.

The layers, each importing only from those before it (tests/test_layers.py enforces it):
errors, model, store, sandbox, build, protocol, client, daemon, packages, testing, cli.
"""

__version__ = "0.1.0"
