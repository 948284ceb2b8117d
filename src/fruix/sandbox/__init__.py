"""What a build may see, and running it so.

Specifications as plain data, the spawner, back ends for each platform, recovery after crashes.

What lives here: `spec` (the data), `contracts` (what each dialect's builders are promised),
`spawner` (who forks), `networks` (ways to one), `build_users` and `journal` (what a build holds),
`recover`, `capabilities`, `back_ends` (which platform's), and one folder per back end (`linux/`,
`freebsd/`). What a build sees of the host's tools: `fruix.hostview`.

Rules: nothing here knows derivations or stores; never less isolation than the specification says; a
failed step is an error that names it.
"""

from __future__ import annotations

from fruix.late import late_names

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from fruix.sandbox.back_ends import Exit
    from fruix.sandbox.back_ends import current as back_end
    from fruix.sandbox.build_users import User, UserLocks, UserPool, machine_directory
    from fruix.sandbox.journal import Journal, JournalEntry
    from fruix.sandbox.spawner.client import SandboxHandle, Spawner
    from fruix.sandbox.spec import Bind, Entry, Exec, File, Identity, Link, SandboxSpec, Tmpfs

__all__ = [
    "Bind",
    "Entry",
    "Exec",
    "Exit",
    "File",
    "Identity",
    "Journal",
    "JournalEntry",
    "Link",
    "SandboxHandle",
    "SandboxSpec",
    "Spawner",
    "Tmpfs",
    "User",
    "UserLocks",
    "UserPool",
    "back_end",
    "machine_directory",
]

# What only asks for a sandbox doesn't need what makes one.
__getattr__ = late_names(
    __name__,
    {
        **dict.fromkeys(
            ("Bind", "Entry", "Exec", "File", "Identity", "Link", "SandboxSpec", "Tmpfs"), "spec"
        ),
        **dict.fromkeys(("User", "UserLocks", "UserPool", "machine_directory"), "build_users"),
        **dict.fromkeys(("Journal", "JournalEntry"), "journal"),
        **dict.fromkeys(("SandboxHandle", "Spawner"), "spawner.client"),
        "Exit": "back_ends",
        "back_end": "back_ends:current",
    },
)
