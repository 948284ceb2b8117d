"""Checks of builds with a network: a fixed output, and a download from a server of the self-test's own."""

from __future__ import annotations

import http.server
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from fruix.errors import IsolationUnavailableError
from fruix.model.buildresult import BuildResult
from fruix.model.derivation import DerivationOutput
from fruix.model.hashes import Hash
from fruix.model.storepath import StorePath
from fruix.sandbox.network_choice import choose
from fruix.sandbox.networks import AUTO, HOST
from fruix.testing import derivations
from fruix.testing.selftest_checks import Bench, FailedError, NotTriedError, told
from fruix.threads import Thread

DATA = b"what the self-test's own server delivers\n"


def _way() -> str:
    try:
        return choose(AUTO)
    except IsolationUnavailableError as error:
        raise NotTriedError(f"{error} ({error.hint})") from error


def networked(bench: Bench) -> str:
    """A builder of a derivation's own that may use the network, since its output is fixed."""
    way = _way()
    script = "printf 'fixed\\n' > $out; ls -l /etc/resolv.conf || echo none"
    result, drv = _fixed(bench, "networked", b"fixed\n", script)
    if not result.success:
        raise FailedError(f"by way of {way}: {told(result)}")
    isolation = bench.record(drv)["isolation"]
    if isolation["network"] != way:
        raise FailedError(f"the record says network {isolation['network']!r}, not {way!r}")
    bench.clean()
    return f"a fixed output was built with the network by way of {way}"


def download(bench: Bench) -> str:
    """Fetch from a server in this process, on this machine's own loopback interface."""
    way = _way()
    if way != HOST:
        raise NotTriedError(
            f"by way of {way} downloads don't reach this machine's own addresses, where the server is"
        )
    with _server() as port:
        url = f"http://127.0.0.1:{port}/file"
        _start_anew(bench, f"loopback-ports = [{port}]\n")
        result, _ = _fixed(bench, "downloaded", DATA, url=url)
    _start_anew(bench)
    if not result.success:
        raise FailedError(f"{url}: {told(result)}")
    bench.clean()
    return f"{url} fetched, with the network by way of {way}"


def _start_anew(bench: Bench, more: str = "") -> None:
    bench.scratch.stop()
    bench.scratch.configure(more)
    bench.scratch.start()


def _fixed(
    bench: Bench, name: str, data: bytes, script: str = "", url: str = ""
) -> tuple[BuildResult, StorePath]:
    """Build a derivation whose output is `data`: by a shell script, or by downloading `url`."""
    outputs = {"out": DerivationOutput(None, "sha256", Hash.of("sha256", data).base16)}
    with closing(bench.scratch.connect()) as store:
        env = {"url": url, "urls": url} if url else {}
        builder = "builtin:fetchurl" if url else "/bin/sh"
        drv, _ = derivations.add(store, name, script, env=env, outputs=outputs, builder=builder)
        return derivations.build_added(store, drv), drv


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(DATA)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def _server() -> Iterator[int]:
    """A server of `DATA` on this machine's loopback interface, at the port that is yielded."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = Thread(target=server.serve_forever, name="server")
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
