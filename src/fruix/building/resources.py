"""What builds share.

The store, the spawner, the build users, the journal, the host views and what is prepared of them,
the operator's settings.
"""

from __future__ import annotations

from dataclasses import dataclass

from fruix.building.durations import History
from fruix.building.host_views import HostViews
from fruix.building.prepared_views import PreparedViews
from fruix.building.settings import BuildSettings
from fruix.sandbox import Journal, Spawner, UserPool
from fruix.store import LocalStore


@dataclass(frozen=True, slots=True)
class Resources:
    """All of them thread-safe."""

    store: LocalStore
    spawner: Spawner
    users: UserPool
    journal: Journal
    views: HostViews
    prepared: PreparedViews
    history: History
    settings: BuildSettings
