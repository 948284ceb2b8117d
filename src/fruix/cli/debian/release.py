"""`InRelease`: the signed index of a suite's indices, with their sizes and hashes.

Format: DebianRepository/Format of Debian's wiki; apt-secure(8). Behind each hash of a root stands
its signature: it vouches for `Packages`, which vouches for the `.deb` files.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from fruix.dataclass import dataclass
from fruix.errors import FormatError, UsageError

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
ALL_THE_SAME = "'--insecure' takes it all the same"
_STATUS = "[GNUPG:] "  # how gpgv's lines for programs begin, see doc/DETAILS of GnuPG


@dataclass(frozen=True, slots=True)
class Release:
    """What `InRelease` says.

    Attributes:
        sha256: of `InRelease` itself.
        suites: the names of the suite: `bookworm`, `oldstable`.
        date: when it was made, as it stands there.
        valid_until: after which it is to be trusted no more, or "".
        indices: name → SHA-256 and size of each index.
    """

    sha256: str
    suites: frozenset[str]
    date: str
    valid_until: str
    indices: Mapping[str, tuple[str, int]]

    @property
    def made(self) -> datetime:
        """When it was made."""
        return moment(self.date)

    @property
    def expired(self) -> bool:
        """Whether it is to be trusted no more."""
        return bool(self.valid_until) and moment(self.valid_until) < datetime.now(UTC)


def moment(date: str) -> datetime:
    """The time that a field tells.

    Raises:
        FormatError: it is none.
    """
    try:
        return parsedate_to_datetime(date).astimezone(UTC)
    except ValueError as error:
        raise FormatError(f"'{date}' is no date", where="InRelease") from error


def parse(signed: bytes, keyring: str | None) -> Release:
    """Check the signature of `InRelease` and read it.

    Args:
        signed: its bytes.
        keyring: the file of the keys of which one must have signed it; None: none needs to.

    Raises:
        UsageError: none has, or it can't be checked.
        FormatError: it isn't what the format says.
    """
    from debian.deb822 import Release as Fields  # noqa: PLC0415 (an extra, for this command only)

    text = _verified(signed, keyring) if keyring else _payload(signed)
    fields = Fields(text)
    try:
        return Release(
            hashlib.sha256(signed).hexdigest(),
            frozenset(fields[name] for name in ("Suite", "Codename") if name in fields),
            fields["Date"],
            fields.get("Valid-Until", ""),
            {row["name"]: (row["sha256"], int(row["size"])) for row in fields["SHA256"]},
        )
    except (KeyError, ValueError, TypeError) as error:
        raise FormatError(f"a field is missing or wrong: {error}", where="InRelease") from error


def _payload(signed: bytes) -> bytes:
    from debian.deb822 import Deb822  # noqa: PLC0415

    return b"\n".join(Deb822.split_gpg_and_payload(iter(signed.splitlines()))[1]) + b"\n"


def _verified(signed: bytes, keyring: str) -> bytes:
    """What was signed, and nothing around it.

    An index has several signatures, of keys of other releases too: one good is enough, one bad is
    too much.
    """
    if not os.path.exists(keyring):
        raise UsageError(
            "there is no such keyring, so the archive's signature can't be checked",
            where=keyring,
            hint=f"install debian-archive-keyring, or name one: --keyring FILE; {ALL_THE_SAME}",
        )
    try:
        done = subprocess.run(
            ["gpgv", "--quiet", "--status-fd", "2", "--output", "-", "--keyring", os.path.abspath(keyring)],
            input=signed,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise UsageError(
            "gpgv is not installed, so the archive's signature can't be checked",
            hint=f"install gpgv (part of GnuPG); {ALL_THE_SAME}",
        ) from error
    lines = done.stderr.decode(errors="replace").splitlines()
    said = [line.removeprefix(_STATUS).split(" ")[0] for line in lines if line.startswith(_STATUS)]
    if "GOODSIG" not in said or "BADSIG" in said:
        reasons = [line for line in lines if not line.startswith(_STATUS)]
        raise UsageError(
            f"the archive's index has no good signature: {'; '.join(reasons) or 'it has none'}",
            where=f"InRelease, keys in {keyring}",
            hint=f"another mirror: --mirror URL, other keys: --keyring FILE; {ALL_THE_SAME}",
        )
    return done.stdout
