"""`builtin:fetchurl` through the builder: a sandboxed download from a server on this machine."""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import network_rig as rig
from asking import Clock
from fruix.building.record.record_file import read_record
from fruix.building.settings import BuildSettings
from fruix.model import aterm
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildStatus
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.drvhash import DerivationHasher, fill_outputs
from fruix.model.events import BuildFailed, BuildStarted, Event, LogLine
from fruix.model.hashes import Hash
from fruix.model.storepath import StorePath
from fruix.sandbox import networks
from golden_data import GOLDEN
from machine import Machine, machine
from waiting import until

DATA = b"a source\n" * 1000


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    served = tmp_path / "served"
    served.mkdir()
    (served / "file.tar.gz").write_bytes(DATA)
    with rig.private_network(), rig.web_server(served) as port:
        yield f"http://{rig.HOST}:{port}"


def fetch(
    here: Machine,
    env: Mapping[str, str],
    data: bytes = DATA,
    builder: str = "builtin:fetchurl",
    method: str = "sha256",
    sources: tuple[StorePath, ...] = (),
) -> StorePath:
    outputs = {"out": DerivationOutput(None, method, hashlib.sha256(data).hexdigest())}
    plain = Derivation("file.tar.gz", outputs, {}, sources, "builtin", builder, (), env)
    drv = fill_outputs(plain, DerivationHasher(here.store.read_derivation), here.store.directory)
    return here.store.add_text("file.tar.gz.drv", aterm.render(drv), sources)


@pytest.mark.parametrize("way", [*networks.OWN, networks.HOST])
def test_a_download_is_registered(url: str, way: str) -> None:
    with machine(BuildSettings(fixed_output_network=way)) as here:
        drv = fetch(here, {"urls": f"{url}/missing {url}/file.tar.gz"})
        (result,) = here.build(drv)
        assert result.status == BuildStatus.BUILT, result.message
        assert here.output(drv).read_bytes() == DATA
        record = read_record(here.store.layout.log_file(drv))
        assert record is not None
        assert record["isolation"]["network"] == way
        assert record["isolation"]["insideUid"] == 35001
        assert [mount["target"] for mount in record["isolation"]["mounts"]] == ["/build"]
        assert any(isinstance(event, LogLine) and "fetched" in event.line for event in here.events)


@pytest.mark.parametrize("way", [*networks.OWN, networks.HOST])
def test_names_are_resolved(url: str, way: str, tmp_path: Path) -> None:
    port = url.rpartition(":")[2]
    with (
        rig.name_server() as asked,
        machine(BuildSettings(fixed_output_network=way)) as here,
        rig.resolv_conf(tmp_path),
    ):
        drv = fetch(here, {"url": f"http://{rig.NAME}:{port}/file.tar.gz"})
        (result,) = here.build(drv)
        assert result.success, result.message
    assert any(b"\5files\7example\0" in question for question in asked)


@pytest.mark.parametrize("way", networks.OWN)
def test_the_hosts_loopback_is_no_source(url: str, way: str, tmp_path: Path) -> None:
    with (
        rig.web_server(tmp_path / "served", "127.0.0.1") as port,
        machine(BuildSettings(fixed_output_network=way)) as here,
    ):
        (result,) = here.build(fetch(here, {"url": f"http://127.0.0.1:{port}/file.tar.gz"}))
        assert not result.success
        assert f"at port {port}, which the daemon's setting 'loopback-ports' doesn't list" in result.message
    del url


@pytest.mark.parametrize("way", sorted(networks.OPENS_PORTS))
def test_listed_ports_of_the_hosts_loopback_are_reached(url: str, way: str, tmp_path: Path) -> None:
    served = tmp_path / "served"
    with (
        rig.web_server(served, "127.0.0.1") as port,
        rig.web_server(served, "127.0.0.1") as other,
        machine(BuildSettings(fixed_output_network=way, loopback_ports=(port,))) as here,
    ):
        for host in ("127.0.0.1", "localhost"):
            env = {"urls": f"http://{host}:{other}/file.tar.gz http://{host}:{port}/file.tar.gz"}
            drv = fetch(here, env)
            (result,) = here.build(drv)
            assert result.status == BuildStatus.BUILT, result.message
            said = [event.line for event in here.events if isinstance(event, LogLine)]
            assert any(f"at port {other}" in line for line in said)
            here.events.clear()
            here.store.database.remove(here.store.derivation_outputs(drv).values())
    del url


def test_a_listed_port_takes_a_way_that_opens_single_ones(url: str, tmp_path: Path) -> None:
    with (
        rig.web_server(tmp_path / "served", "127.0.0.1") as port,
        machine(BuildSettings(fixed_output_network="slirp4netns", loopback_ports=(port,))) as here,
    ):
        (result,) = here.build(fetch(here, {"url": f"http://127.0.0.1:{port}/file.tar.gz"}))
        assert "to which 'slirp4netns' opens no single ports: install pasta" in result.message
    del url


def test_switched_off() -> None:
    with machine(BuildSettings(fixed_output_network="none")) as here:
        (result,) = here.build(fetch(here, {"url": "http://127.0.0.1:1/file.tar.gz"}))
        assert "downloads are switched off" in result.message


def test_guix_spells_it_in_scheme(url: str) -> None:
    with machine() as here:
        drv = fetch(here, {"url": f'("{url}/no" "{url}/file.tar.gz")'}, builder="builtin:download")
        assert here.build(drv)[0].success


def test_guix_s_mirrors_are_those_of_the_derivation(url: str) -> None:
    """They may be unknown otherwise, or replace built-in ones; the operator's go before them."""
    with machine(BuildSettings(mirrors={"near": (f"{url}/",)})) as here:
        lists = (
            f';; made\n((gnu "ftp://x/" "{url}/none/" "{url}/")'
            f' (near "{url}/none") (mine "{url}" "{url}/no"))'
        )
        mirrors = here.store.add_text("mirrors", lists.encode())
        for name in ("gnu", "near", "mine"):
            env = {"url": f'"mirror://{name}/file.tar.gz"', "mirrors": mirrors.text}
            drv = fetch(here, env, builder="builtin:download", sources=(mirrors,))
            (result,) = here.build(drv)
            assert result.success, result.message


def test_mirrors_that_are_no_input_or_no_lists_are_not_known(url: str) -> None:
    with machine() as here:
        other = here.store.add_text("mirrors", f'((mine "{url}"))'.encode())
        odd = here.store.add_text("mirrors", b'(mine "x") "(')
        for name, sources in ((other, ()), (odd, (odd,))):
            env = {"url": '"mirror://mine/file.tar.gz"', "mirrors": name.text}
            (result,) = here.build(fetch(here, env, builder="builtin:download", sources=sources))
            assert "unknown mirror list 'mine'" in result.message


def why_failed(here: Machine, drv: StorePath) -> BuildFailed:
    (event,) = (event for event in here.events if isinstance(event, BuildFailed) and event.drv == drv)
    return event


def test_wrong_contents_are_never_registered(url: str) -> None:
    """The reason says where they are from, whatever became of the other URLs."""
    with machine() as here:
        drv = fetch(here, {"urls": f"{url}/missing {url}/file.tar.gz"}, data=b"other")
        (result,) = here.build(drv)
        assert result.status is BuildStatus.OUTPUT_REJECTED
        assert not here.output(drv).exists()
        why = why_failed(here, drv).reason
    assert (why["kind"], why["url"]) == ("hash-mismatch", f"{url}/file.tar.gz")
    expected, got = (Hash.of("sha256", data).sri for data in (b"other", DATA))
    assert (why["expected"], why["got"]) == (expected, got)
    assert f"likely URL: {url}/file.tar.gz\n  specified: {expected}\n     got:    {got}" in result.message


def test_the_reason_says_of_each_url_why_it_did_not_deliver(url: str) -> None:
    with machine() as here:
        closed = "http://127.0.0.1:1/file"
        drv = fetch(here, {"urls": f"{url}/missing git+https://x/y mirror://nowhere/z {closed}"})
        (result,) = here.build(drv)
        why = why_failed(here, drv).reason
    assert result.status is BuildStatus.TRANSIENT_FAILURE
    assert (why["kind"], why["url"]) == ("download", f"{url}/missing")
    assert str(why["text"]).startswith("HTTP Error 404")
    others = str(why["others"]).split("\n  ")[1:]
    assert others[:2] == [
        "git+https://x/y: has scheme 'git+https'",
        "mirror://nowhere/z: names an unknown mirror list 'nowhere'",
    ]
    assert others[2].startswith(f"{closed}: ")
    assert f"unable to download '{url}/missing': HTTP Error 404" in result.message


def test_urls_that_nobody_can_ask_leave_what_is_at_hand(tmp_path: Path) -> None:
    (tmp_path / "file.tar.gz").write_bytes(DATA)
    with machine(BuildSettings(sources=(str(tmp_path),))) as here:
        (result,) = here.build(fetch(here, {"url": "ftp://x/file.tar.gz"}))
        assert result.success, result.message


@pytest.mark.parametrize(
    "proxy", ["http://me:correct-horse@{place}", "http:/me:correct-horse@x", "http://me:correct-horse@x:y"]
)
def test_the_proxys_password_is_not_told(url: str, proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor what is wrong with the proxy's URL, if that would tell it."""
    monkeypatch.setenv("http_proxy", proxy.format(place=url.removeprefix("http://")))
    with machine() as here:
        drv = fetch(here, {"url": f"{url}/file.tar.gz"})
        (result,) = here.build(drv)
        assert not result.success
        log = here.log(drv)
        record = read_record(here.store.layout.log_file(drv))
    assert f"{url}/file.tar.gz: " in log
    assert "Traceback" not in log
    for text in (result.message, log, json.dumps(record)):
        assert "correct-horse" not in text


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


def test_an_archive_is_unpacked_in_the_sandbox(url: str, tmp_path: Path) -> None:
    nar = (GOLDEN / "nar" / "tree.nar").read_bytes()
    (tmp_path / "served" / "tree.nar.xz").write_bytes(lzma.compress(nar))
    with machine() as here:
        drv = fetch(here, {"url": f"{url}/tree.nar.xz", "unpack": "1"}, data=nar, method="r:sha256")
        (result,) = here.build(drv)
        assert result.success, result.message
        assert b"".join(here.store.nar(here.store.derivation_outputs(drv)["out"])) == nar


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a server that takes connections and never says anything."""
    with rig.private_network(), socket.socket() as server:
        server.bind((rig.HOST, 0))
        server.listen(100)
        yield f"http://{rig.HOST}:{server.getsockname()[1]}/file.tar.gz"


@pytest.mark.parametrize(
    "settings", [BuildSettings(timeout_limit=40_000), BuildSettings(silent_time_limit=40_000)]
)
def test_a_download_has_the_limits_of_builds(
    silent: str, settings: BuildSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator's limit too: the client asks for none."""
    clock = Clock(monkeypatch)
    with machine(settings) as here:

        def hear(event: Event) -> None:
            if isinstance(event, BuildStarted):
                clock.jump()

        request = [DerivedPath(fetch(here, {"url": silent}), ALL)]
        ((_, result),) = here.builder.realise(
            request, BuildOptions("nix", timeout=0, max_silent_time=0), hear, threading.Event()
        )
        assert result.status is BuildStatus.TIMED_OUT
        assert "timed out after 40000 seconds" in result.message


def test_a_download_that_nobody_waits_for_ends(silent: str) -> None:
    with machine() as here:
        gone = threading.Event()

        def hear(event: Event) -> None:
            if isinstance(event, BuildStarted):
                gone.set()

        request = [DerivedPath(fetch(here, {"url": silent}), ALL)]
        ((_, result),) = here.builder.realise(request, BuildOptions("nix", timeout=0), hear, gone)
        assert result.message == "cancelled"
        until(lambda: not here.builder.active(), "the end of the download")


def test_a_download_counts_among_outputs(url: str) -> None:
    with machine(BuildSettings(max_output_size=len(DATA) - 1)) as here:
        (result,) = here.build(fetch(here, {"url": f"{url}/file.tar.gz"}))
        assert result.status is BuildStatus.OUTPUT_REJECTED
        assert f"more than {len(DATA) - 1} bytes of contents" in result.message


@pytest.fixture
def readable() -> Iterator[Path]:
    """A directory whose files everybody can read."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        os.chmod(directory, 0o755)
        for name, mode in (("file.tar.gz", 0o644), ("secret", 0)):
            (Path(directory) / name).write_bytes(DATA)
            (Path(directory) / name).chmod(mode)
        os.mkfifo(f"{directory}/pipe", 0o644)
        yield Path(directory)


def test_files_are_fetched_where_builders_see_the_machine(readable: Path) -> None:
    """As the build user sees them: what that user can't read isn't, and nothing that may never end."""
    urls = [f"file://{readable}/{name}" for name in ("none", "secret", "pipe", "file.tar.gz")]
    with machine(BuildSettings(sandbox=False)) as here:
        drv = fetch(here, {"urls": f"file://elsewhere{readable}/file.tar.gz {' '.join(urls)}"})
        (result,) = here.build(drv)
        assert result.success, result.message
        assert here.output(drv).read_bytes() == DATA
        log = here.log(drv)
        for url, why in zip(urls, ("No such file", "Permission denied", "is no regular file"), strict=False):
            assert f"{url}: {why}" in log
        assert f"file://elsewhere{readable}/file.tar.gz: has scheme 'file'" in log


@pytest.mark.parametrize(
    ("sandbox", "builder", "quote"), [(True, "builtin:fetchurl", ""), (False, "builtin:download", '"')]
)
def test_files_are_no_sources_elsewhere(readable: Path, sandbox: bool, builder: str, quote: str) -> None:
    with machine(BuildSettings(sandbox=sandbox)) as here:
        env = {"url": f"{quote}file://{readable}/file.tar.gz{quote}"}
        (result,) = here.build(fetch(here, env, builder=builder))
        assert "has scheme 'file'" in result.message
