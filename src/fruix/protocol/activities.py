"""The numbers of Nix's activities: their kinds, what they report, how important a text is."""

from __future__ import annotations

import enum


class ActivityType(enum.IntEnum):
    """Kinds of activities: of Nix's numbers those that a build has."""

    COPY_PATH = 100
    FILE_TRANSFER = 101
    REALISE = 102
    COPY_PATHS = 103
    BUILDS = 104
    BUILD = 105
    OPTIMISE_STORE = 106
    SUBSTITUTE = 108
    BUILD_WAITING = 111


class ResultType(enum.IntEnum):
    """What an activity reports: of Nix's numbers those that builds and transfers have."""

    BUILD_LOG_LINE = 101
    SET_PHASE = 104
    PROGRESS = 105
    SET_EXPECTED = 106
    # Fruix's own, to clients that named the feature only: one event as JSON.
    EVENT = 0x46520001


class Level(enum.IntEnum):
    """How important a text is (Nix's scale)."""

    ERROR = 0
    WARN = 1
    NOTICE = 2
    INFO = 3
    TALKATIVE = 4
    CHATTY = 5
    DEBUG = 6
    VOMIT = 7
