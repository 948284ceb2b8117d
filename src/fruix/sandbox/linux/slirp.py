"""The uplink of a sandbox that has a network of its own: pasta or slirp4netns, run beside it, never in it.

Both are user-mode network stacks: they hold a tap device in the sandbox's network namespace and
open ordinary sockets outside on its behalf. Addresses are fixed, so that builders see the same on
every host. The host's loopback is out of reach but for ports that the specification lists, and
nothing outside can connect to the builder.

Who is who: the sandbox's first process, by then the build user, makes its user and network
namespaces and says "ready"; the *supervisor*, cloned beside it into process and mount namespaces of
its own, then shows itself a small read-only root, becomes the build user too and starts the helper,
which joins those namespaces by the descriptors that came with the word, its standard input and
output (pasta closes all others). The helper can't escape its end: it dies with the supervisor's
process namespace, the supervisor with the spawner (parent-death signal) or the sandbox (its cgroup,
and `HelperProcess.stop`). When it ends too early its last words reach the sandbox, which has waited
for a default route to appear.

Measured: route there 14 ms (pasta) and 9 ms (slirp4netns) after "ready". Options: pasta(1), slirp4netns(1).
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import time
from collections.abc import Sequence
from typing import NoReturn

from fruix.dataclass import dataclass, replace
from fruix.sandbox import root_skeleton
from fruix.sandbox.linux import identity, libc, mounts, network, userns
from fruix.sandbox.linux.helper_process import HelperProcess, close_all_but
from fruix.sandbox.network_files import contents
from fruix.sandbox.networks import ADDRESS, GATEWAY, NAME_SERVER, NETMASK, OPENS_PORTS
from fruix.sandbox.process_defaults import default_signals
from fruix.sandbox.spec import Bind, File, SandboxSpec

TUN = "/dev/net/tun"
PATIENCE = 30.0  # seconds for the helper to bring up the interface
_INTERFACE = "eth0"
_LAST_WORDS = 2000
# Where programs and their libraries are; what is missing on a host is left out.
_PROGRAMS = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/ld.so.cache",
    "/gnu/store",
    "/nix/store",
)
_DEVICES = ("null", "urandom")
# A stub resolver at a loopback address can't be reached by every version of the helpers; systemd
# keeps the real servers here.
_REAL_RESOLVERS = "/run/systemd/resolve/resolv.conf"
_USER_NAMESPACE, _NETWORK_NAMESPACE = "/proc/self/fd/0", "/proc/self/fd/1"

# Without this `--address` IPv6 would get the host's own address.
_ADDRESS_6, _GATEWAY_6 = "fd66:7275:6978::100", "fd66:7275:6978::2"

# None leads in, none to the host's loopback unless `command` says so.
_NO_PORTS = tuple(word for direction in ("-t", "-u", "-T", "-U") for word in (direction, "none"))

COMMANDS: dict[str, tuple[str, ...]] = {
    "pasta": (
        "--foreground",
        "--quiet",
        "--config-net",
        *("--ns-ifname", _INTERFACE),
        *_NO_PORTS,
        "--no-map-gw",  # otherwise the gateway's address is the host's loopback
        "--no-netns-quit",
        *("--dns-forward", NAME_SERVER),
        *("--address", ADDRESS, "--netmask", NETMASK, "--gateway", GATEWAY),
        *("--address", _ADDRESS_6, "--gateway", _GATEWAY_6),
        *("--userns", _USER_NAMESPACE, "--netns", _NETWORK_NAMESPACE),
    ),
    "slirp4netns": (
        "--configure",
        "--mtu=65520",
        "--disable-host-loopback",
        "--enable-seccomp",
        f"--userns-path={_USER_NAMESPACE}",
        "--netns-type=path",
        _NETWORK_NAMESPACE,
        _INTERFACE,
    ),
}


def command(spec: SandboxSpec) -> tuple[str, ...]:
    """The helper's arguments: where it can, it opens the ports of the host's loopback that `spec` lists."""
    arguments = COMMANDS[spec.network]
    if not (ports := opened_ports(spec)):
        return arguments
    place = arguments.index("-T") + 1
    return (*arguments[:place], ",".join(map(str, ports)), *arguments[place + 1 :])


def opened_ports(spec: SandboxSpec) -> tuple[int, ...]:
    """The ports of the host's loopback that the helper opens in the sandbox."""
    return spec.loopback_ports if spec.network in OPENS_PORTS else ()


def lacking(name: str) -> str:
    """Why helper `name` can't be used here; empty if it can."""
    import shutil  # noqa: PLC0415 - seldom needed

    if shutil.which(name) is None:
        return f"{name} is not installed"
    if not os.path.exists(TUN):
        return f"there is no {TUN}"
    if not (os.access(TUN, os.R_OK | os.W_OK) or can_make_devices()):
        return f"{TUN} may not be used by this user (chmod 0666 {TUN})"
    if name == "pasta" and not network.has_default_route():
        return "pasta needs a default route of the host to model its own on"
    return ""


def can_make_devices() -> bool:
    """Whether this process may make a device node for the helper: root, and not just of a user namespace."""
    return os.geteuid() == 0 and not userns.confined()


@dataclass(slots=True)
class Pipes:
    """Ends of what connects a sandbox and its helper's supervisor.

    "Ready", with the namespaces' descriptors, goes to the supervisor over a socket; the helper's
    last words come back by a pipe.
    """

    hears_ready: int
    says_ready: int
    hears_trouble: int
    says_trouble: int

    @classmethod
    def make(cls) -> Pipes:
        """Make both connections; an exec closes all ends."""
        hears, says = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(hears.detach(), says.detach(), *os.pipe2(os.O_CLOEXEC))

    def close(self) -> None:
        """Close all ends, in the process that needs none."""
        for descriptor in (self.hears_ready, self.says_ready, self.hears_trouble, self.says_trouble):
            os.close(descriptor)

    def keep_sandbox_ends(self) -> None:
        """Close the others, in the sandbox's first process."""
        os.close(self.hears_ready)
        os.close(self.says_trouble)


def start(spec: SandboxSpec, pipes: Pipes) -> HelperProcess:
    """Clone the supervisor of a sandbox's helper. Call in a single-threaded process only."""
    flags = libc.CLONE_NEWNS | libc.CLONE_NEWPID | libc.CLONE_NEWIPC | libc.CLONE_NEWUTS
    pid = libc.clone(flags)
    if pid == 0:
        _supervise(spec, pipes)
    return HelperProcess(pid, os.pidfd_open(pid))


def wait(pipes: Pipes, ports: Sequence[int] = ()) -> None:
    """Have the helper started, and return when the sandbox has a default route, and these ports.

    To be called in the sandbox, when its namespaces are made.

    Raises:
        OSError: ENETUNREACH with the helper's last words, or ETIMEDOUT.
    """
    _say_ready(pipes.says_ready)
    deadline = time.monotonic() + PATIENCE
    poller = select.poll()  # not select(), which only knows descriptors below 1024
    poller.register(pipes.hears_trouble, select.POLLIN)
    pause = 1
    while not (network.has_default_route() and network.are_listening(ports)):
        if poller.poll(pause):
            words = os.read(pipes.hears_trouble, _LAST_WORDS).decode("utf-8", "replace")
            raise OSError(errno.ENETUNREACH, " ".join(words.split()) or "the helper ended without a word")
        if time.monotonic() > deadline:
            raise OSError(errno.ETIMEDOUT, f"no default route, or no ports, after {PATIENCE:.0f} seconds")
        pause = min(2 * pause, 50)  # milliseconds


def _say_ready(descriptor: int) -> None:
    """Send the word with this sandbox's namespaces: only the host's root could look them up outside."""
    namespaces = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("user", "net")]
    with socket.socket(fileno=descriptor) as supervisor:
        socket.send_fds(supervisor, [b"x"], namespaces)
    for namespace in namespaces:
        os.close(namespace)


def _hear_ready(descriptor: int) -> list[int]:
    """The namespaces; none if the sandbox ended before it got there, or the spawner died."""
    with socket.socket(fileno=descriptor) as sandbox:
        namespaces = socket.recv_fds(sandbox, 1, 2)[1]
    for namespace in namespaces:
        os.set_inheritable(namespace, False)
    return list(namespaces)


def _supervise(spec: SandboxSpec, pipes: Pipes) -> NoReturn:
    """Start the helper when the sandbox is ready, and tell the sandbox how it ended. Never returns."""
    import shutil  # noqa: PLC0415 - seldom needed

    words = b""
    try:
        close_all_but(pipes.hears_ready, pipes.says_trouble)
        libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
        namespaces = _hear_ready(pipes.hears_ready)
        if not namespaces:
            os._exit(0)
        program = shutil.which(spec.network)
        if program is None:
            raise FileNotFoundError(errno.ENOENT, f"{spec.network} is not installed")
        _small_root(spec.root)
        # Power over the sandbox's namespaces comes with owning them; of what there is here the
        # helper needs nothing.
        identity.drop_bounding_set(identity.read_last_capability())
        identity.set_ids(replace(spec.identity, groups=()))
        libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of ids has cleared it
        words = _run(program, command(spec), namespaces)
    except BaseException as error:  # noqa: BLE001 - goes to the sandbox
        words = f"{spec.network}: {error}".encode()
    finally:
        with contextlib.suppress(OSError):
            os.write(pipes.says_trouble, words[-_LAST_WORDS:])
        os._exit(1)


def _run(program: str, arguments: tuple[str, ...], namespaces: list[int]) -> bytes:
    """Run the helper to its end; returns the last of what it said."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            default_signals()  # pasta takes an ignored SIGPIPE for a failure
            for number, descriptor in enumerate([*namespaces, writing]):
                os.dup2(descriptor, number)
            os.execve(program, [os.path.basename(program), *arguments], {"PATH": "/usr/bin:/bin"})  # noqa: S606 - a list, no shell
        finally:
            os._exit(127)
    os.close(writing)
    words = b""
    while chunk := os.read(reading, 1 << 12):
        words = (words + chunk)[-_LAST_WORDS:]
    _, status = os.waitpid(pid, 0)
    # The small root has no system log, and pasta says so for each of its lines.
    words = b"".join(line for line in words.splitlines(keepends=True) if b"to syslog" not in line)
    return words or f"{program} ended with status {os.waitstatus_to_exitcode(status)}".encode()


def _small_root(place: str) -> None:
    """Programs, libraries, the resolver's configuration and the tun device; nothing else of the host."""
    name_servers = _resolver_configuration()
    mounts.stop_propagation()
    mounts.new_root(place)
    root_skeleton.make_directories(["/proc", "/tmp", "/dev/net", "/etc"])  # noqa: S108 - pasta mounts its own empty root there
    mounts.bind_all(Bind(path, path) for path in _PROGRAMS if os.path.lexists(path))
    empty = [File(f"/dev/{name}", b"", 0o444) for name in _DEVICES]
    root_skeleton.make_files([File("/etc/resolv.conf", name_servers, 0o444), *empty])
    mounts.seal()
    for name in _DEVICES:
        libc.mount(f"/dev/{name}".encode(), f"dev/{name}".encode(), None, libc.MS_BIND)
    libc.mount(b"tmpfs", b"dev/net", b"tmpfs", libc.MS_NOSUID, b"mode=755,size=64k")
    _make_tun("dev/net/tun")
    mounts.mount_proc()
    mounts.switch_root()


def _make_tun(path: str) -> None:
    """On many hosts only root may open the tun device.

    The helper needs it for its own namespace alone, so it gets a node of its own.
    """
    if can_make_devices():
        os.mknod(path, 0o600 | 0o020000, os.stat(TUN).st_rdev)
        os.chmod(path, 0o666)  # noqa: S103 - seen by the helper only
    else:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        libc.mount(TUN.encode(), path.encode(), None, libc.MS_BIND)


def _resolver_configuration() -> bytes:
    """The host's, or the real one behind a stub at a loopback address."""
    configured = contents("/etc/resolv.conf")
    servers = [line.split()[1] for line in configured.splitlines() if line.startswith(b"nameserver ")]
    if all(server.startswith(b"127.") or server == b"::1" for server in servers):
        return contents(_REAL_RESOLVERS) or configured
    return configured
