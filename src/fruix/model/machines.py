"""Machines that builds are sent to, as Nix's lists of machines have them.

A line, or a part between semicolons, is a machine. Its words, of which `-` and those left out at the
end stand for the default:

    URI  systems  SSH-key-file  builds-at-once  speed  features  mandatory-features  host-key

Lists are separated by commas; `#` begins a comment; the host's public key is in base64.
"""

from __future__ import annotations

import binascii
from collections.abc import Collection

from fruix.dataclass import dataclass
from fruix.errors import FormatError
from fruix.late import late_import

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    import base64
else:
    base64 = late_import("base64")

PROGRAM = "nix-daemon"
_SCHEMES = frozenset({"ssh", "ssh-ng"})
_WORDS = 8
# What may stand behind the URI's question mark, as in Nix, and means something here.
_KEY, _PROGRAM, _HOST_KEY = "ssh-key", "remote-program", "base64-ssh-public-host-key"


@dataclass(frozen=True, slots=True)
class Machine:
    """One of them.

    Attributes:
        text: the whole of it, as it is written.
        uri: as it is written.
        host: what `ssh` is told, perhaps with a user.
        port: 0: as `ssh` is set.
        key: the file of the secret key; empty: as `ssh` is set.
        host_key: what the machine has to prove to be; empty: as `ssh` is set.
        program: what serves the worker protocol there.
        max_jobs: how many builds from here at once.
        speed: as compared with the others.
        features: what derivations may require.
        mandatory: features that they have to require.
    """

    text: str
    uri: str
    host: str
    systems: tuple[str, ...]
    port: int = 0
    key: str = ""
    host_key: str = ""
    program: str = PROGRAM
    max_jobs: int = 1
    speed: float = 1.0
    features: frozenset[str] = frozenset()
    mandatory: frozenset[str] = frozenset()

    def objection(self, system: str, required: Collection[str]) -> str:
        """Why it can't build a derivation of a system that requires features; empty: it can."""
        if system not in self.systems:
            return f"builds for {', '.join(self.systems)}"
        if lacking := sorted(set(required) - self.features - self.mandatory):
            return f"lacks '{lacking[0]}'"
        if kept := sorted(self.mandatory - set(required)):
            return f"is for what requires '{kept[0]}'"
        return ""


def parse_machines(text: str, system: str) -> tuple[Machine, ...]:
    """All machines of a list; `system`: of those that name none.

    Raises:
        FormatError: a line that is none.
    """
    lines = [line.partition("#")[0].split() for line in text.replace(";", "\n").splitlines()]
    return tuple(_machine(words, system) for words in lines if words)


def _machine(words: list[str], system: str) -> Machine:
    if len(words) > _WORDS:
        raise FormatError(f"machine '{words[0]}': {len(words)} words, {_WORDS} at most")
    uri, systems, key, jobs, speed, features, mandatory, host_key = (
        "" if word == "-" else word for word in (*words, *[""] * (_WORDS - len(words)))
    )
    try:
        from urllib.parse import parse_qsl, urlsplit  # noqa: PLC0415 - seldom needed

        parts = urlsplit(uri if "://" in uri else f"ssh://{uri}")
        said = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
        if (
            parts.scheme not in _SCHEMES
            or not parts.hostname
            or parts.netloc[0] == "-"
            or parts.path.strip("/")
        ):
            raise ValueError("no address of the form ssh-ng://HOST")
        if parts.netloc.startswith("-") or not parts.hostname:
            raise ValueError("no name of a host")
        if unknown := sorted(said.keys() - {_KEY, _PROGRAM, _HOST_KEY}):
            raise ValueError(f"'{unknown[0]}' in an address means nothing here")
        proof = base64.b64decode(host_key or said.get(_HOST_KEY, ""), validate=True).decode().strip()
        return Machine(
            text=" ".join(words),
            uri=uri,
            host=parts.netloc.rpartition(":")[0] if parts.port else parts.netloc,
            systems=tuple(systems.split(",")) if systems else (system,),
            port=parts.port or 0,
            key=key or said.get(_KEY, ""),
            host_key=proof,
            program=said.get(_PROGRAM, PROGRAM),
            max_jobs=int(_positive(int(jobs or 1))),
            speed=_positive(float(speed or 1)),
            features=_words(features),
            mandatory=_words(mandatory),
        )
    except (ValueError, binascii.Error) as error:
        raise FormatError(f"machine '{uri}': {error}") from None


def _positive(number: float) -> float:
    if not number > 0:
        raise ValueError(f"{number} is not more than 0")
    return number


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split(",")) if text else frozenset()
