"""Numbers of the protocol, and layouts as plain data, for those that can afford to import nothing else.

A layout has the names of a record's fields with their kinds: `text`, `texts`, `number`, `count` (a number, or
none), or the name of the layout of which the field is a list.
"""

CLIENT_MAGIC = 0x6E697863
SERVER_MAGIC = 0x6478696F
MAJOR = 1
# Minor versions that are spoken.
NIX_OLDEST, NIX_NEWEST = 21, 38
NIX_OLDEST_DAEMON = 34  # that Fruix's own clients talk to
GUIX_OLDEST, GUIX_NEWEST = 0x60, 0x64  # the first is what tells this dialect from the other
FEATURE = "fruix-1"  # what both sides name when both are Fruix
# What a client of Fruix's offers. guix-daemon announces the same version as Fruix and reads the list as
# a processor to stay on and a reserve of disk space: with an empty name in front both are small
# numbers, so that it answers `Last`, which is no length of a list.
OFFERED = ("", FEATURE)
LAST = 0x616C7473  # the message that ends a request's messages

QUERY_ACTIVE_BUILDS = 0x46520002
QUERY_PLAN = 0x46520003
CLIENT = (("uid", "number"), ("user", "text"), ("pid", "number"))
ACTIVE_BUILD = (
    ("drv", "text"),
    ("kind", "text"),
    ("state", "text"),
    ("submitted_ms", "number"),
    ("started_ms", "number"),
    ("phase", "text"),
    ("phase_started_ms", "number"),
    ("usual_ms", "count"),
    ("pid", "number"),
    ("cpu_us", "count"),
    ("memory", "count"),
    ("processes", "count"),
    ("log_file", "text"),
    ("clients", "CLIENT"),
)
PLANNED_BUILD = (
    ("drv", "text"),
    ("kind", "text"),
    ("missing", "texts"),
    ("needs", "texts"),
    ("usual_ms", "count"),
    ("last", "text"),
)
