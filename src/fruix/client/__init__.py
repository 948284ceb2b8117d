"""The store behind a socket.

What lives here: `RemoteStore` (`remote`), which offers what `LocalStore` offers and builds too; the exchange of requests and replies
(`exchange`); which socket to use (`environment`). Rules: no decision is taken here that the daemon could take.
"""

from fruix.client.environment import socket_path
from fruix.client.remote import RemoteStore, connect

__all__ = ["RemoteStore", "connect", "socket_path"]
