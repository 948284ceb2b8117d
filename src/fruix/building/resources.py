"""The objects that all builds of a daemon share."""

from __future__ import annotations

from fruix.building.connect import Connect
from fruix.building.durations import History
from fruix.building.host_views import HostViews
from fruix.building.nested import Serve
from fruix.building.parking import Parking
from fruix.building.prepared_views import PreparedViews
from fruix.building.settings import BuildSettings
from fruix.dataclass import dataclass
from fruix.sandbox import Journal, Spawner, UserPool
from fruix.store import LocalStore


@dataclass(frozen=True, slots=True)
class Resources:
    """Made once by `Builder`; each is thread-safe."""

    store: LocalStore
    spawner: Spawner
    users: UserPool
    journal: Journal
    parking: Parking
    views: HostViews
    prepared: PreparedViews
    history: History
    settings: BuildSettings
    connect: Connect
    serve: Serve
