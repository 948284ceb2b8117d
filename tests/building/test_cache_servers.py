"""Binary caches of servers: redirects, failures, silence, and several who want the same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

import network_rig as rig
from fruix.building.substitution import Substitution
from fruix.model.buildresult import BuildStatus
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.events import Progress
from fruix.model.storepath import StorePath
from fruix.thread_pool import ThreadPool
from machine import Machine, machine
from substitutes.caches import Cache, serve
from substitutes.offered import TRUST, build, chain, forget, move, said, wishes
from waiting import until


@pytest.fixture(scope="module")
def one() -> Iterator[Machine]:
    with rig.private_network(), machine() as made:
        yield made


def test_servers(here: Machine, shell: StorePath, tmp_path: Path) -> None:
    """Redirects are followed; what a server lacks isn't asked for again, nor is what it has."""
    cache = Cache(tmp_path / "cache")

    def elsewhere(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", f"{server.url}{request.path.replace('/cache', '')}")
        request.send_header("Content-Length", "0")
        request.end_headers()

    with serve(cache.directory, rig.HOST) as server:
        first, second = chain(here, shell)
        infos = move(here, cache, first, second)
        absent = f"/{infos[1].path.hash_part}.narinfo"
        cache.narinfo(infos[1]).unlink()
        for info in infos:
            server.answers[f"/cache/{info.path.hash_part}.narinfo"] = elsewhere
            server.answers[f"/cache/nar/{info.path.base}.gz"] = elsewhere
        server.answers["/cache/nix-cache-info"] = elsewhere
        url = f"{server.url}/cache"
        for _ in range(2):
            (result,) = build(here, second, options=wishes(url))
            assert result.status is BuildStatus.BUILT, result.message
            forget(here, infos)
        assert server.asked.count(absent) == 1
        assert server.asked.count("/nix-cache-info") == 1
        assert server.asked.count(f"/nar/{infos[0].path.base}.gz") == 2
        assert [event for event in here.events if isinstance(event, Progress)]


def broken(request: BaseHTTPRequestHandler) -> None:
    request.send_response(500)
    request.send_header("Content-Length", "0")
    request.end_headers()


def short(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "100")
    request.end_headers()
    request.wfile.write(b"too short")


@pytest.mark.parametrize(("answer", "why"), [(broken, "HTTP Error 500"), (short, "IncompleteRead")])
def test_servers_that_fail(
    here: Machine,
    shell: StorePath,
    tmp_path: Path,
    answer: Callable[[BaseHTTPRequestHandler], None],
    why: str,
) -> None:
    cache = Cache(tmp_path / "cache")
    with serve(cache.directory, rig.HOST) as server:
        drv = here.derivation(f"thing-{why.replace(' ', '-')}", "echo 101 > $out", shell)
        (info,) = move(here, cache, drv)
        server.answers[f"/{info.path.hash_part}.narinfo"] = answer
        assert build(here, drv, options=wishes(server.url))[0].status is BuildStatus.BUILT
        assert f"warning: binary cache '{server.url}' is of no use now: " in said(here)[0]
        assert why in said(here)[0]
        asked = len(server.asked)
        forget(here, [info])
        assert build(here, drv, options=wishes(server.url))[0].status is BuildStatus.BUILT
        assert len(server.asked) == asked, "it isn't asked again for a while"


def test_a_server_that_says_nothing_keeps_nobody_who_leaves(
    here: Machine, shell: StorePath, tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "cache")
    asked, answer = threading.Event(), threading.Event()

    def silent(_request: BaseHTTPRequestHandler) -> None:
        asked.set()
        answer.wait(60)

    with serve(cache.directory, rig.HOST) as server:
        drv = here.derivation("thing-102", "echo 102 > $out", shell)
        (info,) = move(here, cache, drv)
        request, gone = [DerivedPath(drv, ALL)], threading.Event()
        for path in (f"/{info.path.hash_part}.narinfo", f"/nar/{info.path.base}.gz"):
            server.answers = {path: silent}
            asked.clear()
            gone.clear()
            with ThreadPool(1, "client") as pool:
                waiting = pool.submit(
                    here.builder.realise, request, wishes(server.url), here.events.append, gone
                )
                assert asked.wait(60)
                gone.set()
                ((_, result),) = waiting.result(60)
            assert not result.success
            assert "cancelled" in result.message
        answer.set()


def test_two_who_want_a_path_fetch_it_once(here: Machine, shell: StorePath, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    asked, answer = threading.Event(), threading.Event()
    with serve(cache.directory, rig.HOST) as server:
        drv = here.derivation("thing-103", "echo 103 > $out", shell)
        (info,) = move(here, cache, drv)
        packed = cache.archive(info).read_bytes()

        def slow(request: BaseHTTPRequestHandler) -> None:
            asked.set()
            answer.wait(60)
            request.send_response(200)
            request.send_header("Content-Length", str(len(packed)))
            request.end_headers()
            request.wfile.write(packed)

        place = f"/nar/{info.path.base}.gz"
        server.answers[place] = slow
        with ThreadPool(2, "clients") as pool:
            one = pool.submit(build, here, drv, options=wishes(server.url))
            assert asked.wait(60)
            other = pool.submit(build, here, drv, options=wishes(server.url))
            until(lambda: _listeners(here) == 2, "both wait for it")
            answer.set()
            statuses = {one.result(60)[0].status, other.result(60)[0].status}
        assert statuses == {BuildStatus.SUBSTITUTED}
        assert server.asked.count(place) == 1


def _listeners(here: Machine) -> int:
    return sum(len(job.waiting()) for job in here.builder._scheduler.jobs())


@pytest.mark.parametrize("listed", [True, False])
def test_servers_of_this_machine(here: Machine, shell: StorePath, tmp_path: Path, listed: bool) -> None:
    """Those at ports that the operator lists."""
    cache = Cache(tmp_path / "cache")
    with serve(cache.directory, "127.0.0.1") as server:
        drv = here.derivation(f"local-{listed}", "echo 1 > $out", shell)
        move(here, cache, drv)
        port = int(server.url.rpartition(":")[2])
        resources = replace(
            here.builder._resources,
            settings=replace(here.builder.settings, loopback_ports=(port,) if listed else ()),
        )
        substitution = Substitution(resources, TRUST)
        infos = outputs_of_unbuilt(here, drv)
        found = substitution.query(infos, wishes(server.url))
        assert set(found.offers) == (set(infos) if listed else set())
        assert listed or "which the daemon's setting 'loopback-ports' doesn't list" in found.notes[0]


def outputs_of_unbuilt(here: Machine, drv: StorePath) -> list[StorePath]:
    return list(here.store.derivation_outputs(drv).values())
