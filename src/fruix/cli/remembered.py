"""`fruix build WORD…` once more: what was asked then has the same answer now, so nothing is to be done.

The words are names of packages, or derivations: paths of the store.

A build that went well leaves (by `request.remember`) how it can be seen that its derivations and outputs
are valid, and the state of all that they followed from: Fruix's own files that were loaded, and the
variables that count. As long as those are the same the question is asked again, of a daemon in the very
bytes of then, whose answer has to be the bytes of then; where no daemon runs, of the database itself. If
the answer is the same the command is done: no definition is read, nothing is lowered, no table of
operations is loaded. Whatever is not as it was is left to the whole command.

Costs a stat for each of some 200 files and one turn with the daemon. Imports next to nothing.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BEGUN = time.time_ns()  # of the command: nothing has been read before
HEAD = "fruix remembers, 2"
SAID = "nothing to be done: everything is valid"
DAEMON, EMBEDDED = "daemon", "embedded"
_MOST_NAME, _MOST_SIZE = 200, 1 << 20
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+_-@")
_COUNT = ("FRUIX_", "NIX_", "GUIX_")  # variables that count begin with one of these
_NEVER = ("FRUIX_PACKAGE_PATH", "FRUIX_SOURCES", "METADATA_OUT")  # files of the user's are read or written
_VALID = """
    select count(*) from ValidPaths
    where path = ? and id <= (select mark from FruixSync where id = 1)
"""


def place(words: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """The file for a command with these words; None if its answer is never remembered."""
    name = ",".join(words).replace("/", ":")
    plain = all(map(_is_plain, words))
    if not words or not plain or len(name) > _MOST_NAME or any(environment.get(each) for each in _NEVER):
        return None
    cache = environment.get("XDG_CACHE_HOME", "")
    if not cache.startswith("/"):
        home = environment.get("HOME", "")
        if not home.startswith("/"):
            return None
        cache = f"{home}/.cache"
    return f"{cache}/fruix/built/{name}"


def _is_plain(word: str) -> bool:
    """Whether a word is a package's name or a derivation's path: no option, and no file of the user's."""
    if word.startswith("/") and word.endswith(".drv"):
        return _LETTERS.issuperset(word.replace("/", ""))
    return word != "" and word[0] not in "-.@" and _LETTERS.issuperset(word)


def circumstances(environment: Mapping[str, str]) -> str:
    """What an answer depends on besides files, on one line."""
    machine = os.uname()
    variables = sorted(f"{name}={value}" for name, value in environment.items() if name.startswith(_COUNT))
    return repr((sys.version, machine.sysname, machine.machine, os.geteuid(), variables))


def state(file: str) -> str:
    """A file as it is now, and its name; any change of the file, or of a directory's names, shows here."""
    found = os.stat(file)
    return f"{found.st_ino} {found.st_size} {found.st_ctime_ns} {file}"


def answer(words: Sequence[str], environment: Mapping[str, str]) -> int | None:
    """Answer a build of `words` from memory: the exit status; None if the whole command has to be run."""
    try:
        said, outputs, _, question = _recalled(words, environment)
        if _holds(question):
            return _say(said, outputs)
    except (OSError, ValueError, IndexError):
        pass
    return None


def derivations(words: Sequence[str], environment: Mapping[str, str]) -> Sequence[str]:
    """Return the derivations that `words` stand for, in their order; none where that isn't remembered."""
    try:
        return _recalled(words, environment)[2]
    except (OSError, ValueError, IndexError):
        return ()


def _recalled(words: Sequence[str], environment: Mapping[str, str]) -> list[list[str]]:
    """What was remembered of words: what is said, outputs, derivations, the question that is asked.

    Raises:
        ValueError, OSError, IndexError: nothing was, or something has changed since.
    """
    file = place(words, environment)
    lines = _read(file) if file is not None else []
    head, which, said, outputs, drvs, question, *files = lines
    if head != HEAD or which != circumstances(environment):
        raise ValueError("another version's, or of other circumstances")
    if not all(state(line.split(" ", 3)[3]) == line for line in files):
        raise ValueError("a file has changed")
    return [line.split("\t") for line in (said, outputs, drvs, question)]


def _read(file: str) -> list[str]:
    """The lines of a file of this user's own; another's says nothing."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or found.st_mode & 0o22 or found.st_size > _MOST_SIZE:
            return []
        return os.read(descriptor, _MOST_SIZE).decode("utf-8", "surrogateescape").split("\n")
    except OSError:
        return []
    finally:
        os.close(descriptor)


def _holds(question: Sequence[str]) -> bool:
    kind, *words = question
    if kind == DAEMON:
        address, sent, answered = words
        return _daemon_answers(address, bytes.fromhex(sent), bytes.fromhex(answered))
    directory, sockets, *paths = words
    return kind == EMBEDDED and not any(map(_listens, sockets.split(":"))) and _are_valid(directory, paths)


def _daemon_answers(address: str, sent: bytes, answered: bytes) -> bool:
    """Whether the daemon gives the same answer as before."""
    import _socket  # noqa: PLC0415 - `socket` would bring a dozen modules

    stream = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        stream.connect(address)
        stream.sendall(sent)
        got = b""
        while got != answered and answered.startswith(got):
            if not (data := stream.recv(len(answered) - len(got))):
                return False
            got += data
        return got == answered
    finally:
        stream.close()


def _listens(address: str) -> bool:
    import _socket  # noqa: PLC0415

    stream = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        stream.connect(address)
    except OSError:
        return False
    finally:
        stream.close()
    return True


def _are_valid(directory: str, paths: Sequence[str]) -> bool:
    """Whether a store that no daemon works on has these paths, and they are known to be on disk.

    The lock keeps one from beginning to; what a killed one left is for the next to put in order.
    """
    import fcntl  # noqa: PLC0415 - only where there is no daemon
    import sqlite3  # noqa: PLC0415

    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        database = f"{directory}/db/db.sqlite"
        if os.path.exists(f"{database}-wal") or set("?#%") & set(database):
            return False
        connection = sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)
        try:
            return all(connection.execute(_VALID, (path,)).fetchone()[0] for path in paths)
        finally:
            connection.close()
    except sqlite3.Error:
        return False
    finally:
        os.close(lock)


def _say(said: Sequence[str], outputs: Sequence[str]) -> int | None:
    """As the whole command does; None if there is something about the streams that it has to deal with."""
    for number in range(3):
        os.fstat(number)
    for number, lines in ((2, said), (1, outputs)):
        data = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
        if os.write(number, data) != len(data):
            return None
    return 0
