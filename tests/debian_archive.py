"""A small Debian archive, signed by a key made for it, as `fruix root update` reads it."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DATE = "Sat, 01 Aug 2026 10:00:00 UTC"
PACKED: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".xz": lzma.compress,
}


def paragraph(name: str, version: str = "1", architecture: str = "amd64", **fields: str) -> str:
    """A package of a `Packages` file; `pre_depends` stands for the field `Pre-Depends`."""
    file = f"{name}_{version.rpartition(':')[2]}_{architecture}.deb"
    told = {
        "Package": name,
        "Version": version,
        "Filename": f"pool/main/{name[0]}/{name}/{file}",
        "SHA256": hashlib.sha256(file.encode()).hexdigest(),
        "Size": "1024",
        **{field.replace("_", "-").title(): text for field, text in fields.items()},
    }
    return "".join(f"{field}: {text}\n" for field, text in told.items())


@dataclass(frozen=True)
class Key:
    """A key that signs: its home directory, and the file of its public half."""

    home: Path
    keyring: Path

    def sign(self, text: str) -> bytes:
        return _gpg(self.home, "--clearsign", stdin=text)


@contextmanager
def new_key(name: str = "Archive") -> Iterator[Key]:
    """Make a key; its agent ends with the context. The paths are short: they are those of sockets."""
    home = Path(tempfile.mkdtemp(prefix="gpg-", dir="/tmp"))
    try:
        _gpg(home, "--passphrase", "", "--quick-generate-key", f"{name} <{name}@example.org>", "ed25519")
        keyring = home / "archive.gpg"
        keyring.write_bytes(_gpg(home, "--export"))
        yield Key(home, keyring)
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
        shutil.rmtree(home)


def _gpg(home: Path, *words: str, stdin: str = "") -> bytes:
    done = subprocess.run(
        ["gpg", "--homedir", str(home), "--batch", "--quiet", *words],
        input=stdin.encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_suite(
    top: Path,
    packages: Mapping[str, str],
    sign: Callable[[str], bytes],
    *,
    suite: str = "stable",
    forms: tuple[str, ...] = (".xz",),
    **fields: str,
) -> Path:
    """Write `dists/SUITE` for the texts of `Packages` by architecture; tells the archive's top.

    `fields` are further ones of `InRelease`, or others than usual.
    """
    directory = top / "dists" / suite
    directory.mkdir(parents=True)
    rows = []
    for architecture, text in packages.items():
        for form in forms:
            data = PACKED[form](text.encode())
            sha256 = hashlib.sha256(data).hexdigest()
            name = f"main/binary-{architecture}/Packages{form}"
            by_hash = directory / f"main/binary-{architecture}/by-hash/SHA256/{sha256}"
            by_hash.parent.mkdir(parents=True, exist_ok=True)
            by_hash.write_bytes(data)
            rows.append(f" {sha256} {len(data)} {name}\n")
    told = {"Origin": "Test", "Suite": suite, "Codename": "tortoise", "Date": DATE}
    told |= {field.replace("_", "-").title(): value for field, value in fields.items()}
    text = "".join(f"{field}: {value}\n" for field, value in told.items()) + "SHA256:\n" + "".join(rows)
    (directory / "InRelease").write_bytes(sign(text))
    return top
