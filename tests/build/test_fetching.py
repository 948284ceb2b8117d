"""`builtin:fetchurl` through the builder: a sandboxed download from a server on this machine's loopback."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fruix.build.records import read_record
from fruix.build.settings import BuildSettings
from fruix.model.buildresult import BuildStatus
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.drvhash import DerivationHasher, fill_outputs
from fruix.model.events import LogLine
from fruix.model.storepath import StorePath
from machine import Machine, machine

DATA = b"a source\n" * 1000


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    served = tmp_path / "served"
    served.mkdir()
    (served / "file.tar.gz").write_bytes(DATA)
    handler = functools.partial(Quiet, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def fetch(
    here: Machine,
    env: Mapping[str, str],
    data: bytes = DATA,
    builder: str = "builtin:fetchurl",
    method: str = "sha256",
) -> StorePath:
    outputs = {"out": DerivationOutput(None, method, hashlib.sha256(data).hexdigest())}
    plain = Derivation("file.tar.gz", outputs, {}, (), "builtin", builder, (), env)
    drv = fill_outputs(plain, DerivationHasher(here.store.read_derivation), here.store.directory)
    return here.store.add_text("file.tar.gz.drv", drv.to_bytes())


def test_a_download_is_registered(url: str) -> None:
    with machine() as here:
        drv = fetch(here, {"urls": f"{url}/missing {url}/file.tar.gz"})
        (result,) = here.build(drv)
        assert result.status == BuildStatus.BUILT, result.message
        assert here.output(drv).read_bytes() == DATA
        record = read_record(here.store.layout.log_file(drv))
        assert record is not None
        assert record["isolation"]["network"] == "host"
        assert record["isolation"]["uid"] == 35001
        assert [mount["target"] for mount in record["isolation"]["mounts"]] == ["/build"]
        assert any(isinstance(event, LogLine) and "fetched" in event.line for event in here.events)


def test_guix_spells_it_in_scheme(url: str) -> None:
    with machine() as here:
        drv = fetch(here, {"url": f'("{url}/no" "{url}/file.tar.gz")'}, builder="builtin:download")
        assert here.build(drv)[0].success


def test_wrong_contents_are_never_registered(url: str) -> None:
    with machine() as here:
        drv = fetch(here, {"url": f"{url}/file.tar.gz"}, data=b"other")
        (result,) = here.build(drv)
        assert not result.success
        assert "hash mismatch" in result.message
        assert not here.output(drv).exists()


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({"url": "file:///etc/shadow"}, "scheme 'file'"),
        ({"url": "mirror://nowhere/x"}, "unknown mirror list"),
        ({}, "needs the variable 'url'"),
    ],
)
def test_bad_requests(env: dict[str, str], why: str) -> None:
    with machine() as here:
        (result,) = here.build(fetch(here, env))
        assert result.status == BuildStatus.INPUT_REJECTED
        assert why in result.message


def test_sources_at_hand_need_no_network(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "some-name").write_bytes(DATA)
    with machine(BuildSettings(sources=(str(tmp_path / "sources"),))) as here:
        drv = fetch(here, {"url": "http://127.0.0.1:1/file.tar.gz"})
        (result,) = here.build(drv)
        assert result.success, result.message
        record = read_record(here.store.layout.log_file(drv))
        assert record is not None
        assert record["fetchedFrom"].endswith("/some-name")
