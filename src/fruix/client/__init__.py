"""The store behind a socket.

What lives here: `RemoteStore` (`remote`), which offers what `LocalStore` offers (`contents`) and
builds too; the exchange of requests and replies (`exchange`); which socket to use, and connecting
to it (`address`). Rules: no decision is taken here that the daemon could take.
"""

from fruix.client.address import connect, socket_path
from fruix.client.remote import RemoteStore

__all__ = ["RemoteStore", "connect", "socket_path"]
