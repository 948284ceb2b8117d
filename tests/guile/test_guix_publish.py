"""The real `guix publish` over this daemon's store, and the real client fetching what it published."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crashing import LAYOUT
from fruix.client import connect
from fruix.model.storepath import StorePath
from golden_data import GOLDEN
from guile.guix_client import PEERS, Guix, client, daemon
from machine import private_frx
from substitutes.caches import serve
from waiting import until

# Golden keys → names in the daemon's directory of settings, with the modes that they need.
KEYS = {
    "guix-acl": ("acl", 0o644),
    "guix-signing-key.pub": ("signing-key.pub", 0o444),
    "guix-signing-key.sec": ("signing-key.sec", 0o400),
}


# What a Guix of Debian's needs of a machine, besides its own files.
SYSTEM = ("/bin", "/lib", "/lib64", "/usr")


def test_what_guix_publishes_is_fetched(tmp_path: Path) -> None:
    """From a directory by the daemon itself; from a server by Guix's own helper."""
    tmp_path.chmod(0o755)
    guix, cache = Guix(tmp_path / "home"), tmp_path / "cache"
    with private_frx(), serve(cache, "127.0.0.1") as server:
        put_keys(Path("/frx/etc"))
        settings = tmp_path / "fruix.toml"
        settings.write_text(helper_settings(server.url))
        with daemon(FRUIX_CONF=str(settings)):
            with connect(LAYOUT.socket, LAYOUT.store) as store:
                first = store.add_text("first", b"one\n" * 1000)
                second = store.add_text("second", f"refers to {first}\n".encode(), [first])
            with published(guix) as url:
                record(url, cache, [first, second])
            for chosen in ([f"--substitute-urls=file://{cache}"], []):
                with connect(LAYOUT.socket, LAYOUT.store) as store:
                    store.delete([second, first])
                    assert not store.valid_paths([first, second])
                done = guix.run("build", str(second), *chosen)
                assert done.returncode == 0, done.stderr
                with connect(LAYOUT.socket, LAYOUT.store) as store:
                    assert store.valid_paths([first, second]) == {first, second}
                    assert store.references(second) == [first]
                assert Path(str(first)).read_bytes() == b"one\n" * 1000
            assert f"/{second.hash_part}.narinfo" in server.asked
            with connect(LAYOUT.socket, LAYOUT.store) as store:
                store.delete([second])
            Path("/frx/etc/acl").write_text("(acl)\n")
            done = guix.run("build", str(second))
            assert done.returncode == 1
            assert f"no valid substitute for '{second}'" in done.stderr


def helper_settings(url: str) -> str:
    """A configuration with Guix's helper, which asks a server of this machine."""
    files = [PEERS, *(name for name in SYSTEM if Path(name).exists())]
    return f"""acl-file = "/frx/etc/acl"
loopback-ports = [{url.rpartition(":")[2]}]
[substitute-helper]
command = ["{client()}", "substitute"]
files = {json.dumps(files)}
options = {{ substitute-urls = "{url}" }}
"""


def put_keys(directory: Path) -> None:
    directory.mkdir()
    for golden, (name, mode) in KEYS.items():
        shutil.copy(GOLDEN / "keys" / golden, directory / name)
        (directory / name).chmod(mode)


@contextmanager
def published(guix: Guix) -> Iterator[str]:
    """`guix publish` of the store, at a port that was free."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [client(), "publish", "--listen=127.0.0.1", f"--port={port}"]
    words += ["--public-key=/frx/etc/signing-key.pub", "--private-key=/frx/etc/signing-key.sec"]
    with subprocess.Popen(words, env=guix.environment) as server:
        url = f"http://127.0.0.1:{port}"
        try:
            until(lambda: server.poll() is not None or answers(url), "guix publish answers")
            yield url
        finally:
            server.send_signal(signal.SIGTERM)


def answers(url: str) -> bool:
    try:
        return bool(get(f"{url}/nix-cache-info"))
    except OSError:
        return False


def get(url: str) -> bytes:
    with urllib.request.urlopen(url) as response:
        data: bytes = response.read()
    return data


def record(url: str, cache: Path, paths: list[StorePath]) -> None:
    """Keep what is published, as it would be after the store has lost it."""
    cache.mkdir(mode=0o755)
    (cache / "nix-cache-info").write_bytes(get(f"{url}/nix-cache-info"))
    for path in paths:
        narinfo = get(f"{url}/{path.hash_part}.narinfo")
        (cache / f"{path.hash_part}.narinfo").write_bytes(narinfo)
        for line in narinfo.decode().splitlines():
            if line.startswith("URL: "):
                file = cache / line.removeprefix("URL: ")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(get(f"{url}/{line.removeprefix('URL: ')}"))
