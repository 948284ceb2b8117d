"""The store behind a socket.

What lives here: `RemoteStore` (`remote`), which offers what `LocalStore` offers (`contents`) and
builds too; the exchange of requests and replies (`exchange`); which socket to use (`socket_name`), and
connecting to it (`address`); one question that costs next to nothing to import (`question`). Rules: no
decision is taken here that the daemon could take.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from typing import Any

    from fruix.client.address import connect
    from fruix.client.remote import RemoteStore
    from fruix.client.socket_name import socket_path

__all__ = ["RemoteStore", "connect", "socket_path"]

_MODULES = {"RemoteStore": "remote", "connect": "address", "socket_path": "socket_name"}


def __getattr__(name: str) -> Any:
    """Import on first use: whoever asks a single question needs no tables of operations."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only then

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
