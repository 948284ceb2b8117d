"""The worker protocol, both dialects: bytes to messages and back, without sockets.

What lives here: numbers and layouts that cost nothing to import (`numbers`), where bytes come from
(`reader`), codecs of primitives (`wire`), of several values (`compound`), of the model's values
(`model_codecs`, `build_codecs`, `build_status`), fields put together (`records`); the tables of
operations and the classes of their requests (`common_operations`, `nix`, `guix`; looked up in
`operations`); the greeting (`handshake`), what clients set (`options`), the message loop (`messages`,
`activities`), errors of Fruix's own clients (`own_errors`), events as messages (`event_messages`,
`guix_trace`) and back (`event_reader`), streams behind requests and replies (`streams`).

Rules: a difference between dialects or versions is a row or a column, not a branch; every row
serves both ends; a request is read whole before anything in it is judged; every length, count and
message has a limit.
"""

from __future__ import annotations

from fruix.late import late_modules

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from fruix.protocol import operations

__all__ = ["operations"]

__getattr__ = late_modules(__name__, __all__)
