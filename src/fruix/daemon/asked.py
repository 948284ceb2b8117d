"""What the command line asks of a daemon, as one value: a light module, since the spawner comes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fruix.dataclass import dataclass, field


@dataclass(frozen=True, slots=True)
class Asked:
    """Where a daemon finds its settings, and where it listens.

    Attributes:
        config: its configuration file (None: `FRUIX_CONF`, else the usual place).
        changes: settings that are others than in the file, by the file's keys.
        origin: what they are from, for messages.
        listen: addresses, see `addresses` (empty: the socket in the state directory).
        notes: what the log is to say first.
        accept_store: take the store for the database that is there, also if they don't belong
            together.
        trusts_own_user: without root, whether the only user that there is is trusted.
    """

    config: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    origin: str = "command line"
    listen: Sequence[str] = ()
    notes: Sequence[str] = ()
    accept_store: bool = False
    trusts_own_user: bool = True
