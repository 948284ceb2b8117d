"""What a client may ask for in one request, and who it is.

A session fills `BuildOptions` from what its client sent. Times are seconds, sizes bytes; 0 means
"no limit".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from fruix.dataclass import dataclass, field
from fruix.model.buildresult import BuildMode
from fruix.model.machines import Machine
from fruix.model.realisation import Realisation
from fruix.model.storepath import StorePath

if TYPE_CHECKING:
    from fruix.model.narinfo import NarInfo

MOST_ROUNDS = 1000


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks for a build: the user at the other end of the connection, as numbers of this machine."""

    uid: int
    gid: int
    pid: int = 0


class Trust(Protocol):
    """Whose word on a path of a binary cache is taken."""

    def objection(self, said: NarInfo) -> str:
        """Why a narinfo isn't believed; empty: it is."""

    def believes(self, said: Realisation) -> bool:
        """Whether the word on where an output is counts."""


@dataclass(frozen=True, slots=True)
class SubstituteWishes:
    """What a request wants of binary caches.

    Attributes:
        allowed: whether they are asked at all.
        fallback: what they promised and didn't deliver is built; None: the operator's choice.
        caches: their addresses; None: the operator's.
        more: asked besides.
        trust: whose word is taken; None: the daemon's.
    """

    allowed: bool = True
    fallback: bool | None = None
    caches: tuple[str, ...] | None = None
    more: tuple[str, ...] = ()
    trust: Trust | None = None


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """The client's side; None stands for the operator's value.

    Attributes:
        contract: the build contract of derivations that name none: the client's dialect.
        keep_failed: keep a copy of what a failed build left, for `requester`; and results that
            differ.
        keep_differing: keep results of a check or of rounds that differ, for people to look at.
        max_jobs: how many builds of the request may run at once; 0: only those that a derivation
            wants to be local.
        max_log_size: bytes; the lower of it and the operator's counts.
        rounds: how often each derivation is built, with the same result each time.
        post_build_hook: a program that is run after each build.
        impure_env: variables for fixed-output derivations that name them.
        requester: None: nobody in particular (the daemon itself).
        machines: that builds may be sent to.
        machines_substitute: whether those fetch what is needed from their own binary caches, as far
            as these have it.
        here: builds may run on this machine.
        inside: the derivation whose builder asks (recursive Nix).
    """

    contract: str = "nix"
    mode: BuildMode = BuildMode.NORMAL
    keep_going: bool = False
    keep_failed: bool = False
    keep_differing: bool = True
    cores: int | None = None
    timeout: int | None = None
    max_silent_time: int | None = None
    max_jobs: int | None = None
    max_log_size: int | None = None
    rounds: int = 1
    post_build_hook: str | None = None
    impure_env: Mapping[str, str] = field(default_factory=dict)
    requester: Requester | None = None
    substitutes: SubstituteWishes = SubstituteWishes()
    machines: tuple[Machine, ...] | None = None
    machines_substitute: bool | None = None
    here: bool = True
    inside: StorePath | None = None
