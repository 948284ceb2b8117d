"""Objects on their way from one store to another.

There are two daemons, each with a /frx of its own, and the commands between them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fruix.client import RemoteStore, connect, transfer
from fruix.client.transfer import Copying, copy
from fruix.model.named_keys import SecretKey
from fruix.model.storepath import StorePath
from golden_data import GOLDEN, load
from machine import own_mounts
from waiting import until

EXPORTS = GOLDEN / "export"
PATHS = load("export/index.json")["paths"]
SECRET = GOLDEN / "keys/nix-test-1.secret"
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith(("FRUIX_", "NIX_", "GUIX_"))
}


@dataclass(frozen=True)
class Place:
    """What a daemon sees at /frx, and its socket as all see it."""

    frx: Path

    @property
    def socket(self) -> str:
        return f"{self.frx}/var/fruix/daemon-socket/socket"

    def fruix(self, *words: str, data: bytes | None = None, status: int = 0) -> bytes:
        """What a command prints; errors go to the exception, where the status is another."""
        done = subprocess.run(
            [sys.executable, "-m", "fruix", *words],
            env={
                **ENVIRONMENT,
                "FRUIX_DAEMON_SOCKET": self.socket,
                "FRUIX_CONF": f"{self.frx}/etc/fruix.toml",
            },
            input=b"" if data is None else data,
            capture_output=True,
            check=False,
        )
        assert done.returncode == status, done.stderr.decode()
        return done.stdout or (done.stderr if status else b"")

    def connect(self) -> RemoteStore:
        return connect(self.socket, "/frx/store")


@contextmanager
def daemon(*settings: str) -> Iterator[Place]:
    """One with Guix's golden key and access control list."""
    own_mounts()
    with tempfile.TemporaryDirectory(prefix="frx-test-", ignore_cleanup_errors=True) as directory:
        os.chmod(directory, 0o755)
        place = Place(Path(directory))
        etc = place.frx / "etc"
        etc.mkdir()
        for name, file in (("acl", "guix-acl"), ("signing-key.sec", "guix-signing-key.sec")):
            (etc / name).write_bytes((GOLDEN / "keys" / file).read_bytes())
            (etc / name).chmod(0o400)
        (etc / "fruix.toml").write_text("".join(f"{line}\n" for line in ("min-free = 0", *settings)))
        script = 'mount --bind "$1" /frx; shift; exec "$@"'
        words = ["unshare", "--mount", "sh", "-ec", script, "sh", directory]
        os.makedirs("/frx", exist_ok=True)
        with subprocess.Popen(
            [*words, sys.executable, "-m", "fruix", "daemon"], env=ENVIRONMENT, stderr=subprocess.DEVNULL
        ) as process:
            try:
                until(lambda: os.path.exists(place.socket), "the daemon's socket")
                yield place
            finally:
                process.terminate()


@pytest.fixture(scope="module")
def places() -> Iterator[tuple[Place, Place]]:
    """Two of them; the second trusts Nix's golden key."""
    public = SecretKey.parse(SECRET.read_text()).public
    with ExitStack() as stack:
        first = stack.enter_context(daemon())
        yield first, stack.enter_context(daemon(f'trusted-public-keys = ["{public}"]'))


@pytest.fixture(scope="module")
def source(places: tuple[Place, Place]) -> Place:
    """The first, with what is in the golden streams."""
    printed = places[0].fruix("import", "--no-check-sigs", str(EXPORTS / "nix-export.bin"))
    assert printed.decode().split() == PATHS
    return places[0]


@pytest.fixture
def key(tmp_path: Path) -> str:
    file = tmp_path / "key"
    file.write_bytes(SECRET.read_bytes())
    file.chmod(0o400)
    return str(file)


@pytest.mark.parametrize(
    ("flags", "file"),
    [
        ((), "nix-export.bin"),
        ((), "guix-export-unsigned.bin"),
        (("--sign",), "guix-export-signed.bin"),
    ],
)
def test_streams_are_those_of_nix_and_guix(
    flags: tuple[str, ...], file: str, source: Place, tmp_path: Path
) -> None:
    whole = (EXPORTS / file).read_bytes()
    assert source.fruix("export", *flags, *reversed(PATHS)) == whole
    assert source.fruix("export", "-r", *flags, PATHS[1]) == whole
    source.fruix("export", *flags, "-o", str(tmp_path / "out"), *PATHS)
    assert (tmp_path / "out").read_bytes() == whole
    assert os.listdir(tmp_path) == ["out"]


def test_guix_s_signed_stream_needs_no_flag_and_an_unsigned_one_does(source: Place) -> None:
    signed, unsigned = EXPORTS / "guix-export-signed.bin", EXPORTS / "guix-export-unsigned.bin"
    assert source.fruix("import", data=signed.read_bytes()).decode().split() == PATHS
    said = source.fruix("import", str(unsigned), status=1).decode()
    assert f"imported archive of `{PATHS[0]}' lacks a signature" in said
    assert "hint: a trusted user may import it unchecked: fruix import --no-check-sigs" in said


def test_copying_takes_signatures_or_a_flag(source: Place, places: tuple[Place, Place], key: str) -> None:
    to = ("copy", "--to", places[1].socket)
    said = source.fruix(*to, PATHS[1], status=1).decode()
    assert f"cannot add path '{PATHS[0]}' because it lacks a signature by a trusted key" in said
    source.fruix("store", "sign", "-k", key, PATHS[0])
    said = source.fruix(*to, PATHS[1], status=1).decode()
    assert f"cannot add path '{PATHS[1]}'" in said  # the first has arrived
    assert source.fruix(*to, "--no-check-sigs", PATHS[1]).decode().split() == [PATHS[1]]
    assert source.fruix(*to, PATHS[1]) == b""
    assert source.fruix("export", *PATHS) == places[1].fruix("export", *PATHS)
    assert b"signatures: test-1:" in places[1].fruix("store", "info", PATHS[0])


def test_copying_goes_on_where_it_was_interrupted(
    places: tuple[Place, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "BATCH_OBJECTS", 2)
    with places[1].connect() as here:
        chain: list[StorePath] = []
        for number in range(5):
            chain.append(here.add_text(f"link-{number}", b"x" * number, chain[-1:]))

    def break_off(state: Copying) -> None:
        if state.objects == 3:
            raise KeyboardInterrupt

    with places[1].connect() as here, places[0].connect() as there, pytest.raises(KeyboardInterrupt):
        copy(here, there, chain[-1:], on_progress=break_off)
    seen: list[Copying] = []
    with places[1].connect() as here, places[0].connect() as there:
        arrived = there.valid_paths(chain)
        assert chain[:2] <= [path for path in chain if path in arrived] <= chain[:4]
        assert copy(here, there, chain[-1:], on_progress=seen.append) == chain[len(arrived) :]
        assert there.closure_infos(chain[-1:])[-1].references == (chain[-2],)
    left = 5 - len(arrived)
    assert seen[0].all_objects == seen[-1].objects == left
    assert seen[-1].size == seen[-1].whole_size > 0


def test_what_nobody_trusted_has_signed_is_found(places: tuple[Place, Place], key: str) -> None:
    """Sources are named by their contents, and need nobody's word."""
    place = places[1]
    place.fruix("store", "add", __file__)
    place.fruix("import", "--no-check-sigs", str(EXPORTS / "nix-export.bin"))
    place.fruix("store", "sign", "-k", key, PATHS[0])
    said = place.fruix("store", "verify", "--sigs", status=1).decode()
    assert f"path '{PATHS[1]}' is untrusted" in said
    assert PATHS[0] not in said
    assert "1 path neither built here nor signed by a trusted key" in said
    place.fruix("store", "sign", "-r", "-k", key, PATHS[1])
    place.fruix("store", "verify", "--sigs")


def test_where_from_or_where_to(source: Place) -> None:
    assert b"from where, or where to?" in source.fruix("copy", PATHS[0], status=2)


def test_nothing_is_left_of_an_export_that_failed(source: Place, tmp_path: Path) -> None:
    secret = source.frx / "etc/signing-key.sec"
    secret.chmod(0o404)
    try:
        said = source.fruix("export", "--sign", "-o", str(tmp_path / "out"), PATHS[0], status=1)
    finally:
        secret.chmod(0o400)
    assert b"should be secret" in said
    assert os.listdir(tmp_path) == []
