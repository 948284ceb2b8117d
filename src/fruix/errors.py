"""Every error that Fruix raises on purpose.

One base, one class per decision that a reader can take.

An error holds fields, not prose: what went wrong (`message`, one line, no trailing full stop),
`where` (a path, an offset, a setting), and `hint` (what to do next). Rendering is the caller's:
`str()` gives one line, the command line prints all three, each wire dialect words its own. Nothing
here imports anything of Fruix.
"""

from __future__ import annotations

import errno
import os
import sys


class FruixError(Exception):
    """Base of all errors.

    `exit_code` is what the command line leaves with, `causes` are the single errors if there may be
    several.
    """

    exit_code = 1
    causes: tuple[str, ...] = ()

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class UsageError(FruixError):
    """The request itself is wrong: ask again, corrected."""

    exit_code = 2


class DefinitionError(UsageError):
    """A package definition is wrong: correct it at `place` (`FILE:LINE`).

    `subject` is the package, if it is known.
    """

    def __init__(self, message: str, place: str, subject: str = "", *, hint: str = "") -> None:
        super().__init__(message, where=f"{place}: {subject}" if subject else place, hint=hint)
        self.place = place
        self.subject = subject


class FormatError(FruixError):
    """Bytes that are not what they should be (NAR, derivation, store path, hash, wire).

    Get them anew.
    """


class BadStorePathError(FormatError):
    """A text that is no store path, or a name that no store path can have."""


class OutsideStoreError(BadStorePathError):
    """A text that names nothing directly below the store directory."""

    def __init__(self, path: str, why: str = "is not in the store", *, hint: str = "") -> None:
        super().__init__(f"path '{path}' {why}", hint=hint)
        self.path = path
        self.why = why


class BadNameError(BadStorePathError):
    """A name that no store path can have, because of `character` (or a dot at its beginning)."""

    def __init__(self, name: str, character: str, *, hint: str = "") -> None:
        why = "can't begin with a dot" if character == "." else f"contains illegal character {character!r}"
        super().__init__(f"name '{name}' {why}", hint=hint)
        self.name = name
        self.character = character


class BadHashPartError(BadStorePathError):
    """A text that can't be the hash part of a store path."""

    def __init__(self, text: str, *, hint: str = "32 characters of nix32") -> None:
        super().__init__(f"'{text}' is no hash part of a store path", hint=hint)
        self.text = text


class BadHashError(FormatError):
    """A text that is no hash of the expected algorithm."""


class HashLengthError(BadHashError):
    """A hash whose length is that of no form of its algorithm, whose digests have `size` bytes."""

    def __init__(self, text: str, algorithm: str, size: int, *, hint: str = "") -> None:
        more = hint or f"a digest of {size} bytes is expected"
        super().__init__(f"hash '{text}' has the wrong length", hint=more)
        self.text = text
        self.algorithm = algorithm
        self.size = size


class BadDerivationError(FormatError):
    """A derivation that does not parse, or whose output paths are not what its contents say."""


class BadNarError(FormatError):
    """An archive that is not in canonical form."""


class ProtocolError(FormatError):
    """The peer broke the protocol: the connection can't go on."""


class GuixDaemonError(ProtocolError):
    """Guix's own daemon answers a greeting in the Nix dialect, which it doesn't speak."""


class DisconnectedError(FruixError):
    """The peer went away."""


class UnreachableError(FruixError):
    """No daemon answers at the socket."""


class NotPermittedError(FruixError):
    """This user may not do that."""


class MemoryLimitError(FruixError):
    """The daemon would have to hold more for this client than its settings allow."""


class NoSpaceError(FruixError):
    """A disk is full, or would have less free after an addition than the settings want."""


class InvalidPathError(FruixError):
    """A store path that is not valid (not registered) where a valid one is needed."""

    def __init__(self, path: str, *, hint: str = "") -> None:
        super().__init__(f"path '{path}' is not valid", hint=hint)
        self.path = path


class HashMismatchError(FruixError):
    """Contents that do not have the hash they were declared to have."""

    exit_code = 102

    def __init__(self, subject: str, *, expected: str, got: str, hint: str = "") -> None:
        super().__init__(f"hash mismatch in {subject}: expected {expected}, got {got}", hint=hint)
        self.subject = subject
        self.expected = expected
        self.got = got


class ImportMismatchError(HashMismatchError):
    """An object that comes with a path of its own, and isn't what is said of it; in Nix's words.

    `kind` is what differs: `hash` and `size` of the archive, or `ca hash`.
    """

    def __init__(self, subject: str, *, expected: str, got: str, kind: str = "hash", hint: str = "") -> None:
        super().__init__(subject, expected=expected, got=got, hint=hint)
        self.kind = kind
        self.message = (
            f"{kind} mismatch importing path '{subject}';\n  specified: {expected}\n  got:       {got}"
        )


class PathAliveError(FruixError):
    """A store path that may not be deleted: something keeps it alive, or `referrer` refers to it."""

    def __init__(self, path: str, referrer: str = "", *, hint: str = "") -> None:
        why = f"'{referrer}' refers to it" if referrer else "it is still alive"
        super().__init__(f"cannot delete path '{path}' since {why}", hint=hint)
        self.path = path
        self.referrer = referrer


class ReferenceCycleError(FruixError):
    """Store objects that refer to each other in a circle."""


class StoreError(FruixError):
    """The store's own state (directories, database, locks) is not usable: an operator must look."""


class ObjectRejectedError(FruixError):
    """A file tree that can't become a store object (special file, foreign owner, too deep…)."""


class SuspiciousObjectError(ObjectRejectedError):
    """One whose owner or permissions show that others could still change it."""

    def __init__(self, path: str, *, hint: str = "") -> None:
        super().__init__(
            f"suspicious ownership or permission on '{path}'; rejecting this build output", hint=hint
        )
        self.path = path


class SandboxError(FruixError):
    """Setting up the isolation failed at `step` with `errno`; no builder ran."""

    def __init__(self, step: str, errno: int, detail: str = "", *, hint: str = "") -> None:
        reason = os.strerror(errno) if errno else "failed"
        super().__init__(f"sandbox step '{step}': {reason}{f' ({detail})' if detail else ''}", hint=hint)
        self.step = step
        self.errno = errno
        self.detail = detail


class StillRunningError(SandboxError):
    """Nobody can say that everything of a build is dead.

    Nothing of it may be touched before the next start has looked after it.
    """


class IsolationUnavailableError(FruixError):
    """The machine can't isolate as asked.

    `missing` names what lacks, `setting` what would accept less.
    """

    def __init__(self, missing: str, *, setting: str = "", hint: str = "") -> None:
        accept = f"; set '{setting}' to accept less isolation" if setting else ""
        super().__init__(f"isolation not available: {missing}{accept}", hint=hint)
        self.missing = missing
        self.setting = setting


class HostViewError(FruixError):
    """A derivation asks for a host view that this machine doesn't offer in that form."""


class HostViewChangedError(HostViewError):
    """The host's tools are others than a derivation was made for, or are being changed just now.

    Lower again, and ask for that.
    """


class BuildError(FruixError):
    """A build that failed.

    `exit_code` follows the peers' (100 permanent, 101 timeout, 102 hash, 104 check).
    """

    exit_code = 100


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
# What to do about errors of the system that a reader can do something about.
_REMEDIES = {
    errno.ENOSPC: "free some space there ('fruix gc' deletes what nothing needs), then ask again",
    errno.EDQUOT: "raise the quota on that file system, or free some space, then ask again",
    errno.EMFILE: "raise the limit on open files (LimitNOFILE=, ulimit -n), or ask again a little later",
    errno.ENFILE: "this machine has too many open files: ask again a little later",
    errno.EAGAIN: "raise the limit on processes (TasksMax=, ulimit -u), or ask again a little later",
    errno.EROFS: "that file system is mounted read-only",
    errno.EIO: "look at the disk and at the kernel's messages",
}


def of_system(error: OSError) -> FruixError:
    """An error of the operating system in the form of ours: what, where, what to do next."""
    named = error.filename if error.filename2 is None else error.filename2
    where = os.fsdecode(named) if isinstance(named, str | bytes) else ""
    if error.errno in _FULL and isinstance(named, bytes) and not where.startswith("/"):
        where = ""  # a name in an open directory says nothing about the disk
    kind = NoSpaceError if error.errno in _FULL else FruixError
    return kind(error.strerror or str(error), where=where, hint=_REMEDIES.get(error.errno or 0, ""))


def of_missing_module(error: ModuleNotFoundError) -> FruixError | None:
    """The same for a module of the standard library that this Python was built without.

    None for any other: that is a bug.
    """
    if error.name not in sys.stdlib_module_names:
        return None
    return FruixError(
        f"this Python lacks the module '{error.name}' of the standard library",
        where=sys.executable,
        hint="'fruix doctor' says what needs it and where to get it",
    )
