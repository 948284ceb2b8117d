"""How builds that may use the network get one: the ways there are, in the order in which they are preferred.

`pasta` and `slirp4netns` give a build a network namespace of its own with addresses that are the
same everywhere. `host` shares the host's, with abstract sockets and signals to the outside cut off
(Linux: Landlock). `none` is the sealed sandbox. Which one is used is the operator's setting, `auto`
takes the first that works; there is no way to share the host's network without that cut.
"""

from __future__ import annotations

AUTO, NONE, HOST = "auto", "none", "host"
OWN = ("pasta", "slirp4netns")  # a network namespace of its own
# What can let a build reach single ports of the host's loopback interface, or does so anyway.
OPENS_PORTS = frozenset({"pasta", HOST})
SETTINGS = (AUTO, *OWN, HOST, NONE)
SETTING = "fixed-output-network"

# What a build with a network of its own sees; the same for all helpers (they are slirp's traditional ones).
ADDRESS, NETMASK, GATEWAY, NAME_SERVER = "10.0.2.100", "255.255.255.0", "10.0.2.2", "10.0.2.3"
