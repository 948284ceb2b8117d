"""Build contracts: what a builder may rely on, one row per dialect.

Names, ids, files below /etc and variables.

`fruix` has a fixed build directory, /tmp for temporary files, and fixed ids. `guix` and `nix` are
what builders of those worlds find with their own daemons, byte for byte (see docs/isolation.md). A
contract is a row of data; nothing here asks for a dialect's name.

The ids that a builder sees differ from those that it has on the host by a user namespace. Jails
have none: there a builder sees its id of the pool.

Precedence of variables, in all rows: first the defaults, then the derivation's own, then those that
point to the build directory, then what a fixed-output derivation takes from the daemon, then those
that describe the log.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from fruix.dataclass import dataclass, field
from fruix.sandbox.back_ends import current
from fruix.sandbox.network_files import CERTIFICATES
from fruix.sandbox.spec import File, Identity

_TEMPORARY = ("TMPDIR", "TEMPDIR", "TMP", "TEMP")
_FILE_MODE = 0o644
_HOSTS = "127.0.0.1 localhost\n::1 localhost\n"
_NOBODY = "nobody:x:65534:65534:Nobody:/:/noshell\n"


@dataclass(frozen=True, slots=True)
class Contract:
    """What the builders of one dialect may rely on.

    Attributes:
        directory: the build directory as seen inside; `{name}` stands for the derivation's file name.
        temporary: what TMPDIR and its kin say; empty: the build directory.
        inside: (uid, gid) that the builder sees, where there are user namespaces; None: its ids on the host.
        etc: name below /etc → text; `{uid}` and `{gid}` stand for the ids inside.
        copied: names below /etc that a build with a network gets as copies of the host's, in place
            of generated ones.
        etc_connected: more generated ones for such builds, in place of others.
        after: variables that override the derivation's own.
        fixed_output: more of them for fixed-output derivations.
        guix_attributes: what a derivation declares is read by Guix's rules (no structured
            attributes, no files, no placeholders).
        count_cores: whether "0 cores" is told to builders as the number of processors.
        sealed_root: whether the root is read-only (EROFS), or only not the builder's (EACCES), who
            can't write there either way.
    """

    name: str
    directory: str
    etc: Mapping[str, str]
    temporary: str = ""
    inside: tuple[int, int] | None = None
    copied: tuple[str, ...] = ()
    etc_connected: Mapping[str, str] = field(default_factory=dict)
    after: Mapping[str, str] = field(default_factory=dict)
    fixed_output: Mapping[str, str] = field(default_factory=dict)
    guix_attributes: bool = False
    count_cores: bool = True
    sealed_root: bool = True
    hostname: str = "localhost"
    domainname: str = "(none)"

    def build_directory(self, drv_file_name: str) -> str:
        """Where the builder starts, as it sees it; `drv_file_name` is the name part with `.drv`."""
        return self.directory.replace("{name}", drv_file_name)

    def identity(self, uid: int, number: int | None = None) -> Identity:
        """Who the builder is when it runs as the build user `uid` (its group has the same number).

        Args:
            uid: on the host.
            number: its number by contract, if that differs: see `pool.User`.
        """
        shared = number is not None and number != uid
        inside = self.inside if current().user_namespaces else None
        if number is not None and shared:
            inside = inside or (number, number)
        inside_uid, inside_gid = inside or (uid, uid)
        return Identity(uid, uid, inside_uid, inside_gid, user_namespace=inside is not None, shared=shared)

    def files(self, identity: Identity, host: Mapping[str, bytes] | None = None) -> tuple[File, ...]:
        """Files below /etc, in order of their paths.

        Args:
            identity: whose ids they name.
            host: for a build with a network: the host's files (see `network_files`); None for a sealed one.
        """
        ids = {"{uid}": str(identity.inside_uid), "{gid}": str(identity.inside_gid)}
        texts = {**self.etc, **(self.etc_connected if host is not None else {})}
        contents = {name: _filled(text, ids).encode("ascii") for name, text in texts.items()}
        if host is not None:
            for name in self.copied:
                contents.pop(name, None)
            contents |= {name: host[name] for name in self.copied if name in host}
        return tuple(File(f"/etc/{name}", data, _FILE_MODE) for name, data in sorted(contents.items()))

    def environment(
        self,
        env: Mapping[str, str],
        *,
        store: str,
        cores: int,
        build_directory: str,
        fixed_output: bool,
        impure: Mapping[str, str] | None = None,
    ) -> Mapping[str, str]:
        """All variables of a builder, sorted by name.

        Args:
            env: the derivation's own.
            store: the store directory.
            cores: what the client or the operator allows; 0: as many as there are.
            build_directory: as from `build_directory()`.
            fixed_output: whether the derivation has a fixed output.
            impure: variables that it may take from the daemon.
        """
        told_cores = cores or (_processors() if self.count_cores else 0)
        variables = {
            "PATH": "/path-not-set",
            "HOME": "/homeless-shelter",
            "NIX_STORE": store,
            "NIX_BUILD_CORES": str(told_cores),
            **env,
            "NIX_BUILD_TOP": build_directory,
            "PWD": build_directory,
            **dict.fromkeys(_TEMPORARY, self.temporary or build_directory),
            **(self.fixed_output if fixed_output else {}),
            **(impure or {}),
            **self.after,
        }
        return dict(sorted(variables.items()))


def _filled(text: str, values: Mapping[str, str]) -> str:
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text


def _processors() -> int:
    return os.cpu_count() or 1


_ROWS = (
    Contract(
        name="fruix",
        directory="/build",
        temporary="/tmp",  # noqa: S108 - seen from inside: the build's own
        # Whatever the pool and its slot: what a build writes down must not depend on them.
        inside=(35001, 35001),
        etc={
            "passwd": "root:x:0:0:Fruix build root:/build:/noshell\n"
            "frxbld:x:{uid}:{gid}:Fruix build user:/build:/noshell\n" + _NOBODY,
            "group": "root:x:0:\nfrxbld:!:{gid}:\nnogroup:x:65534:\n",
            "hosts": _HOSTS,
            # Without it the C library asks a name server first, even for localhost.
            "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\n",
        },
        copied=("resolv.conf", "hosts", "services", CERTIFICATES),
        etc_connected={"nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n"},
    ),
    Contract(
        name="guix",
        directory="/tmp/guix-build-{name}-0",  # noqa: S108 - likewise
        inside=(30001, 30000),
        etc={
            "passwd": "nixbld:x:{uid}:{gid}:Nix build user:/:/noshell\n" + _NOBODY,
            "group": "nixbld:!:{gid}:\n",
            "hosts": _HOSTS,
        },
        copied=("resolv.conf", "hosts", "services", "nsswitch.conf"),
        guix_attributes=True,
        count_cores=False,
        sealed_root=False,
    ),
    Contract(
        name="nix",
        directory="/build",
        inside=(1000, 100),
        etc={
            "passwd": "root:x:0:0:Nix build user:/build:/noshell\n"
            "nixbld:x:{uid}:{gid}:Nix build user:/build:/noshell\n" + _NOBODY,
            "group": "root:x:0:\nnixbld:!:{gid}:\nnogroup:x:65534:\n",
            "hosts": _HOSTS,
        },
        copied=("resolv.conf", "hosts", "services", CERTIFICATES),
        etc_connected={"nsswitch.conf": "hosts: files dns\nservices: files\n"},
        after={"NIX_LOG_FD": "2", "TERM": "xterm-256color"},
        fixed_output={"NIX_OUTPUT_CHECKED": "1"},
    ),
)

CONTRACTS: Mapping[str, Contract] = {row.name: row for row in _ROWS}
