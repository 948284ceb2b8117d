"""`builtin:buildenv`: one tree of symlinks over several packages, as the Nix world's profiles are.

Variables read: `derivations`, words in groups (whether active, priority, number of outputs, each
output); `manifest`, a file that becomes `manifest.nix`. The lower priority number wins where two
packages have the same file; the same number is an error. What a package names in
`nix-support/propagated-user-env-packages` comes too, after all others.

A directory that one package alone has is a link to it; as soon as a second one has it too, it
becomes a directory of links.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from fruix.dataclass import dataclass, field
from fruix.errors import BadDerivationError, FruixError

# Names that are each package's own business, wherever they lie.
_SKIPPED = (
    "propagated-build-inputs", "nix-support", "perllocal.pod", "info/dir", "log", "manifest.nix",
    "manifest.json",
)  # fmt: skip
_PROPAGATED = "nix-support/propagated-user-env-packages"
_AFTER_ALL = 1000
_FAILED = 1


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """A package's output in a profile."""

    priority: int
    path: str


def read_members(text: str) -> list[Member]:
    """The active members in `derivations`.

    Raises:
        BadDerivationError: the groups are not as they should be.
    """
    words = iter(text.split())
    members: list[Member] = []
    try:
        for active in words:
            priority, count = int(next(words)), int(next(words))
            paths = [next(words) for _ in range(count)]
            if active != "false":
                members += [Member(priority, path) for path in paths]
    except (StopIteration, ValueError, RuntimeError):
        raise BadDerivationError(
            "'derivations' of builtin:buildenv is malformed",
            hint="groups of: active, priority, number of outputs, outputs",
        ) from None
    return members


@dataclass(slots=True)
class Profile:
    """The tree being made at `out`; `owners` knows the priority of each link in it."""

    out: str
    owners: dict[str, int] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)

    def fill(self, members: list[Member]) -> None:
        """Everything of `members`, then what they propagate, then what that does.

        Raises:
            FruixError: two packages have the same file with the same priority, or a file where
                another has a directory.
        """
        os.mkdir(self.out, 0o755)
        later = _AFTER_ALL
        waiting = sorted(members)
        while waiting:
            propagated: list[str] = []
            for member in waiting:
                if member.path not in self.done:
                    self.done.add(member.path)
                    self._merge(member.path, self.out, member.priority)
                    propagated += _propagated(member.path)
            waiting = [Member(later + number, path) for number, path in enumerate(dict.fromkeys(propagated))]
            later += len(waiting)

    def _merge(self, source: str, target: str, priority: int) -> None:
        stack = [(source, target, priority)]
        while stack:
            source, target, priority = stack.pop()
            for name in _names(source):
                new, old = f"{source}/{name}", f"{target}/{name}"
                try:
                    is_directory = stat.S_ISDIR(os.stat(new).st_mode)
                except FileNotFoundError:
                    _say(f"warning: skipping dangling symlink '{new}'")
                    continue
                stack += self._place(new, old, priority, is_directory=is_directory)

    def _place(self, new: str, old: str, priority: int, *, is_directory: bool) -> list[tuple[str, str, int]]:
        """Put one name in; the directories that are to be merged for that."""
        if not os.path.lexists(old):
            self._link(new, old, priority)
            return []
        if is_directory:
            return self._merge_directories(new, old, priority)
        if not os.path.islink(old) or os.path.isdir(old):
            raise FruixError(f"collision between the file '{new}' and the directory '{old}'")
        before = self.owners[old]
        if before == priority:
            raise FruixError(
                f"collision between '{new}' and '{os.readlink(old)}', both of priority {priority}",
                hint="give one of them another priority: nix-env --set-flag priority NUMBER INSTALLED",
            )
        if priority < before:
            os.unlink(old)
            self._link(new, old, priority)
        return []

    def _merge_directories(self, new: str, old: str, priority: int) -> list[tuple[str, str, int]]:
        if not os.path.islink(old):
            return [(new, old, priority)]
        first = os.path.realpath(old)
        if not os.path.isdir(first):
            raise FruixError(f"collision between the directory '{new}' and the file '{first}'")
        os.unlink(old)
        os.mkdir(old, 0o755)
        # The stack's last goes first: what was there before.
        return [(new, old, priority), (first, old, self.owners.pop(old))]

    def _link(self, target: str, path: str, priority: int) -> None:
        os.symlink(target, path)
        self.owners[path] = priority


def _names(directory: str) -> Iterator[str]:
    try:
        names = sorted(os.listdir(directory))
    except NotADirectoryError:
        _say(f"warning: not including '{directory}' in the profile, because it is not a directory")
        return
    for name in names:
        if not name.startswith(".") and not f"{directory}/{name}".endswith(
            tuple("/" + end for end in _SKIPPED)
        ):
            yield name


def _propagated(path: str) -> list[str]:
    try:
        with open(f"{path}/{_PROPAGATED}", encoding="utf-8", errors="surrogateescape") as file:
            return file.read().split()
    except (FileNotFoundError, NotADirectoryError):
        return []


def main(arguments: Mapping[str, Any]) -> int:
    """Make a profile.

    Args:
        arguments: `out`, `members` (pairs of priority and path), `manifest`.

    Returns:
        The exit status.
    """
    profile = Profile(arguments["out"])
    try:
        profile.fill([Member(priority, path) for priority, path in arguments["members"]])
        if arguments["manifest"]:
            os.symlink(arguments["manifest"], f"{profile.out}/manifest.nix")
    except (FruixError, OSError) as error:
        hint = getattr(error, "hint", "")
        _say(f"error: {error}" + (f"\n{hint}" if hint else ""))
        return _FAILED
    _say(f"created {len(profile.owners)} symlinks in user environment")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
