"""What a builder must see, and how each way out must be shut: tables, one row per kind of isolation.

Written down from the contract `fruix` as docs/isolation.md has it, and not taken from the code that keeps it.

`LOOK` prints one fact a line, `WORD VALUE`; `differences` compares what was printed with what
should have been.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from fruix.dataclass import dataclass

# Runs as the builder, in POSIX shell with the tools of the view `base`.
LOOK = r"""
echo "uid $(id -u)"
echo "gid $(id -g)"
echo "groups $(id -G)"
echo "host $(uname -n)"
echo "directory $(pwd)"
echo "umask $(umask)"
echo "stdin $(cat | wc -c | tr -d ' ')"
for directory in / /dev /etc /tmp "$NIX_STORE" "$NIX_BUILD_TOP"; do
    ls -A "$directory" | while read -r name; do echo "entry ${directory%/}/$name"; done
done
env | while read -r line; do echo "env $line"; done
for directory in / /dev /etc /tmp /usr /usr/bin /bin "$NIX_STORE" "$NIX_BUILD_TOP" "$input"; do
    if (: > "$directory/.probe") 2>/dev/null; then rm "$directory/.probe"; echo "writable $directory"; fi
done
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of isolation: entries that must be there, and those that may.

    Attributes:
        top: below `/`, besides the host view's and the store's.
        optional_files: below /etc, as the C library needs them.
    """

    top: frozenset[str]
    devices: frozenset[str]
    optional_devices: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset({"group", "hosts", "nsswitch.conf", "passwd"})
    optional_files: frozenset[str] = frozenset()


_DEVICES = frozenset(["fd", "full", "null", "random", "stderr", "stdin", "stdout", "urandom", "zero"])
KINDS: Mapping[str, Kind] = {
    "linux-namespaces": Kind(
        top=frozenset({"build", "dev", "etc", "proc", "tmp"}),
        devices=_DEVICES | {"ptmx", "pts", "shm", "tty"},
    ),
    "freebsd-jail": Kind(
        top=frozenset({"build", "dev", "etc", "tmp"}),
        devices=_DEVICES,
        # Terminals come into being when they are used.
        optional_devices=frozenset({"ptmx", "pts"}),
        optional_files=frozenset({"master.passwd", "protocols", "pwd.db", "services", "spwd.db"}),
    ),
}

_VARIABLES: Mapping[str, str] = {
    "HOME": "/homeless-shelter",
    "NIX_BUILD_TOP": "/build",
    "PWD": "/build",
    **dict.fromkeys(("TEMP", "TEMPDIR", "TMP", "TMPDIR"), "/tmp"),  # noqa: S108 - the name inside
}
# The shell's own, and one whose value is the machine's affair.
_IGNORED_VARIABLES = frozenset({"_", "NIX_BUILD_CORES", "OLDPWD", "SHLVL"})
WRITABLE = ("/tmp", "/build")  # noqa: S108 - as before; besides the store's own directory, for outputs


def differences(
    printed: str,
    kind: Kind,
    *,
    uid: int,
    store: str,
    input_path: str,
    env: Mapping[str, str],
    view: frozenset[str],
) -> list[str]:
    """What was seen and should not have been, and what should have been and was not; a line each.

    Args:
        printed: what `LOOK` printed.
        kind: the isolation.
        uid: the build user as it sees itself; its group has the same number.
        store: the store directory.
        input_path: the one declared input.
        env: the derivation's own variables.
        view: the paths of all that the host view shows.
    """
    facts = _facts(printed)
    seen = {value for value in facts.pop("env", set()) if value.partition("=")[0] not in _IGNORED_VARIABLES}
    variables = {**_VARIABLES, **env, "NIX_STORE": store}
    entries, optional = _entries(kind, store, input_path, env["out"], view)
    found = _compare("env", seen, {f"{name}={value}" for name, value in variables.items()})
    found += _compare("entry", facts.pop("entry", set()) - optional, entries)
    for word, wanted in _exact(uid, store).items():
        found += _compare(word, facts.pop(word, set()), wanted)
    return [*found, *(f"unexpected: {word}" for word in facts)]


def _facts(printed: str) -> dict[str, set[str]]:
    """What `LOOK` printed: word → its values."""
    facts: dict[str, set[str]] = {}
    for line in printed.splitlines():
        word, _, value = line.partition(" ")
        facts.setdefault(word, set()).add(value)
    return facts


def _exact(uid: int, store: str) -> Mapping[str, set[str]]:
    """Words with values that must all be seen, and no others."""
    own = {word: {str(uid)} for word in ("uid", "gid", "groups")}
    return {
        **own,
        "host": {"localhost"},
        "directory": {"/build"},
        "umask": {"0022"},
        "stdin": {"0"},
        "writable": {*WRITABLE, store},
    }


def _entries(
    kind: Kind, store: str, input_path: str, out: str, view: frozenset[str]
) -> tuple[set[str], set[str]]:
    top = {*kind.top, store.split("/")[1], *(path.split("/")[1] for path in view)}
    must = {
        *(f"/{name}" for name in top),
        *(f"/dev/{name}" for name in kind.devices),
        *(f"/etc/{name}" for name in kind.files),
        *("/".join(path.split("/")[:3]) for path in view if path.startswith("/etc/")),
        input_path,
    }
    may = {
        *(f"/dev/{name}" for name in kind.optional_devices),
        *(f"/etc/{name}" for name in kind.optional_files),
        out,  # where LOOK's output goes
    }
    return must, may


def _compare(word: str, seen: set[str], wanted: set[str]) -> list[str]:
    return [
        *(f"seen, should not be: {word} {value}" for value in sorted(seen - wanted)),
        *(f"should be, not seen: {word} {value}" for value in sorted(wanted - seen)),
    ]


OPEN = "ok"
_READ_ONLY = frozenset({"EROFS", "EACCES"})
_FORBIDDEN = frozenset({"EPERM"})
# In a user namespace root has no number at all.
_NO_NUMBER = frozenset({"EPERM", "EINVAL"})
_ABSENT = frozenset({"ENOENT"})
_UNKNOWN_CALL = frozenset({"ENOSYS"})
_NO_FAMILY = frozenset({"EAFNOSUPPORT"})
_NO_PROTOCOL = frozenset({"EPROTONOSUPPORT"})
_NO_ATTRIBUTE = frozenset({"EOPNOTSUPP", "ENOTSUP"})
# Door of `doors.c` → how it may end.
DOORS: dict[str, frozenset[str]] = {
    "descriptors": frozenset({"EBADF"}),
    "write-read-only": _READ_ONLY,
    "link-read-only": frozenset({"EXDEV"}),
    "outside-path": _ABSENT,
    "parent-of-root": _ABSENT,
    "signal-outside": frozenset({"ESRCH"}),
    "host-loopback": frozenset({"ECONNREFUSED", "EAFNOSUPPORT", "EADDRNOTAVAIL"}),
    "network": frozenset({"ENETUNREACH", "EHOSTUNREACH", "EAFNOSUPPORT", "EADDRNOTAVAIL"}),
    # Without a network stack of its own (FreeBSD without vimage) there is no loopback at all.
    "own-loopback": frozenset({OPEN, "EAFNOSUPPORT", "EADDRNOTAVAIL"}),
    "host-unix-socket": _ABSENT,
    "raw-socket": frozenset({"EPERM", "EPROTONOSUPPORT", "EAFNOSUPPORT"}),
    "become-root": _NO_NUMBER,
    "become-group": _NO_NUMBER,
    "device-node": _FORBIDDEN,
    "mount": _FORBIDDEN,
    "host-name": _FORBIDDEN,
    "chroot": _FORBIDDEN,
    "kernel-memory": _ABSENT,
    "write-root": _READ_ONLY,
    "write-etc": _READ_ONLY,
    "accounting": _FORBIDDEN,
}
# Kind of isolation → doors that only its system has.
MORE_DOORS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "linux-namespaces": {
        **dict.fromkeys(
            ("crypto-socket", "machine-socket", "frame-socket", "machine-socket-pair"), _NO_FAMILY
        ),
        **dict.fromkeys(("old-socket", "old-socket-pair", "keys", "ring", "counters"), _UNKNOWN_CALL),
        **dict.fromkeys(("device-events", "other-protocol"), _NO_PROTOCOL),
        **dict.fromkeys(("kernel-log", "watch-all-files", "file-by-handle", "quota"), _FORBIDDEN),
        **dict.fromkeys(("type-for-terminal", "line-discipline", "set-id"), _FORBIDDEN),
        **dict.fromkeys(("new-namespace", "join-namespace"), _FORBIDDEN),
        **dict.fromkeys(("tree-of-mounts", "new-file-system"), _FORBIDDEN),
        **dict.fromkeys(("inode-flags", "inode-flags-by-call"), _NO_ATTRIBUTE),
    },
}


def doors_of(kind: str) -> Mapping[str, frozenset[str]]:
    """All doors that are tried with that kind of isolation."""
    return {**DOORS, **MORE_DOORS.get(kind, {})}


def open_doors(printed: str, kind: str) -> list[str]:
    """Doors that did not end as they should with that kind of isolation, or were not tried; a line each."""
    ended = dict(line.partition(" ")[::2] for line in printed.splitlines())
    found = []
    for name, allowed in doors_of(kind).items():
        number, _, text = ended.pop(name, "not tried").partition(" ")
        result = (
            errno.errorcode.get(int(number), number) if number.isdecimal() else f"{number} {text}".strip()
        )
        if result not in allowed:
            reason = f" ({text})" if number.isdecimal() else ""
            found.append(f"{name}: {result}{reason}, should be {' or '.join(sorted(allowed))}")
    return [*found, *(f"{name}: {rest}" for name, rest in ended.items())]
