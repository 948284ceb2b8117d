"""A network for tests that never leaves this machine.

It is a namespace with one made-up interface and servers on its address.

The interface has a default route, so that helpers have something to model theirs on; behind it is nobody.
"""

from __future__ import annotations

import functools
import http.server
import os
import socket
import socketserver
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fruix.sandbox.linux import libc, network, userns

HOST = "198.51.100.1"  # TEST-NET-2, RFC 5737
HOST_6 = "2001:db8::1"  # RFC 3849
NAME = "files.example"
_CLONE_NEWNET = libc.CLONE_NEWNET
_DNS_HEADER = struct.Struct("!6H")


@contextmanager
def private_network() -> Iterator[None]:
    """This process in a network namespace of its own, back in the old one afterwards.

    An ordinary user can't go back to the host's: such tests run last then (see conftest).
    """
    before = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    libc.unshare(_CLONE_NEWNET)
    try:
        network.loopback_up()
        for words in (
            "link add outside type veth peer name behind",
            f"addr add {HOST}/24 dev outside",
            f"addr add {HOST_6}/64 dev outside nodad",
            "link set outside up",
            "link set behind up",
            "route add default via 198.51.100.254 dev outside",
            "-6 route add default via 2001:db8::fe dev outside",
        ):
            subprocess.run(["ip", *words.split()], check=True)
        yield
    finally:
        try:
            libc.check(libc._libc.setns(before, _CLONE_NEWNET), "setns")
        except PermissionError:
            assert userns.confined()
        os.close(before)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    def server_bind(self) -> None:
        """Without asking a name server for the address's name, which nobody here would answer."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]


@contextmanager
def web_server(directory: Path, address: str = HOST) -> Iterator[int]:
    """Serves files; its port."""
    handler = functools.partial(_Quiet, directory=str(directory))
    with _Server((address, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def name_server(answer: str = HOST) -> Iterator[list[bytes]]:
    """Answers every question about an IPv4 address, at the address that `resolv_conf` names.

    Yields the names asked for.
    """
    asked: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((HOST, 53))

        def serve() -> None:
            while True:
                question, client = server.recvfrom(512)
                if question == b"stop":
                    return
                asked.append(question)
                server.sendto(_answer(question, answer), client)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield asked
        finally:
            server.sendto(b"stop", (HOST, 53))
            thread.join()


def _answer(question: bytes, address: str) -> bytes:
    number, *_ = _DNS_HEADER.unpack_from(question)
    end = question.index(b"\0", 12) + 5
    kind = struct.unpack_from("!H", question, end - 4)[0]
    found = kind == 1
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton(address) if found else b""
    return _DNS_HEADER.pack(number, 0x8180, 1, int(found), 0, 0) + question[12:end] + record


@contextmanager
def resolv_conf(scratch: Path) -> Iterator[None]:
    """The host's resolver configuration points to our name server. In a private mount namespace only."""
    file = scratch / "resolv.conf"
    file.write_text(f"nameserver {HOST}\n")
    target = os.path.realpath("/etc/resolv.conf").encode()
    libc.mount(str(file).encode(), target, None, libc.MS_BIND)
    try:
        yield
    finally:
        libc.umount(target, libc.MNT_DETACH)
