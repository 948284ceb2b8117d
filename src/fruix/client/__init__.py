"""The store behind a socket.

What lives here: `RemoteStore` (`remote`), which offers what `LocalStore` offers (`contents`) and
builds too; the exchange of requests and replies (`exchange`); which socket to use (`socket_name`), and
connecting to it (`address`); one question that costs next to nothing to import (`question`). Rules: no
decision is taken here that the daemon could take.
"""

from __future__ import annotations

from fruix.late import late_names

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from fruix.client.address import connect
    from fruix.client.remote import RemoteStore
    from fruix.client.socket_name import socket_path

__all__ = ["RemoteStore", "connect", "socket_path"]

# Whoever asks a single question needs no tables of operations.
__getattr__ = late_names(
    __name__, {"RemoteStore": "remote", "connect": "address", "socket_path": "socket_name"}
)
