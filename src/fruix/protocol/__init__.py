"""The worker protocol, both dialects: bytes to messages and back, without sockets.

What lives here: where bytes come from (`source`), primitive codecs (`wire`) and those of the model's values (`values`, `looking`),
fields put together (`layout`), the tables of operations (`shared`, `nix`, `guix`; looked up in `operations`), the greeting
(`handshake`), what clients set (`options`), the message loop (`messages`), events as messages (`activities`), streams after requests
(`bodies`).

Rules: a difference between dialects or versions is a row or a column, not a branch; every row serves both ends; a request is read whole
before anything in it is judged; every length, count and message has a limit.
"""

from fruix.protocol.operations import by_request, operations
from fruix.protocol.reader import Source
from fruix.protocol.schema import Body, Operation
from fruix.protocol.wire import Context, Dialect

__all__ = ["Body", "Context", "Dialect", "Operation", "Source", "by_request", "operations"]
