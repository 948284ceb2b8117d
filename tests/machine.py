"""A whole store with a builder on a private /frx.

For tests that build for real (root and Linux namespaces).
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from freebsd_double.double import Double
from freebsd_double.files import as_on_ufs
from freebsd_double.jails import living
from freebsd_double.kernel_state import Machine as FreeBSD
from fruix.building.builder import Builder
from fruix.building.connect import Connect, no_machine
from fruix.building.parking import of_running_daemons
from fruix.building.record.log_reading import read_log
from fruix.building.settings import FIRST_BUILD_UID, BuildSettings
from fruix.model import aterm
from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildResult
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.derivedpath import ALL, DerivedPath
from fruix.model.drvhash import DerivationHasher, fill_outputs
from fruix.model.events import Event
from fruix.model.storepath import StorePath
from fruix.sandbox import Identity, Spawner, back_ends
from fruix.sandbox.back_ends import current
from fruix.sandbox.contracts import CONTRACTS
from fruix.sandbox.freebsd.back_end import FreeBSDBackEnd
from fruix.sandbox.linux import libc, userns
from fruix.store import Layout, LocalStore
from fruix.store.leftovers import LINKS
from fruix.store.tree.delete import delete_tree
from fruix.this_machine import local_system
from waiting import until

BUSYBOX = "/bin/busybox"
FIRST = FIRST_BUILD_UID
_private = threading.local()


def own_mounts() -> None:
    """From here on what this process and its children mount is seen by nobody else."""
    if not getattr(_private, "done", False):
        libc.unshare(libc.CLONE_NEWNS)
        libc.mount(None, b"/", None, libc.MS_REC | libc.MS_PRIVATE)
        _private.done = True


@contextmanager
def jails(machine: FreeBSD | None = None) -> Iterator[Double]:
    """Builds are isolated by the FreeBSD back end, on a double of that system's calls.

    Afterwards no mount and no jail may be left.
    """
    own_mounts()
    before = back_ends.current()
    with tempfile.TemporaryDirectory(prefix="freebsd-") as directory:
        kernel = Double(directory, machine)
        back_ends.use(FreeBSDBackEnd(kernel))
        try:
            with as_on_ufs():
                yield kernel
        finally:
            back_ends.use(before)
        assert [row.target for row in kernel.getfsstat()] == [b"/"]
        with kernel.state.tables() as tables:
            assert living(tables, dying=True) == []
            assert tables.limits == []


def shares_user() -> bool:
    """Whether builds run as the tests' own user: an ordinary one, without subordinate ids."""
    return not current().has_users((FIRST,))


# Marks for what an ordinary user can't try: other users at all, or several ids.
OTHER_USERS = pytest.mark.skipif(
    userns.confined(), reason="machine: other users have no numbers without root"
)
SEVERAL_IDS = pytest.mark.skipif(shares_user(), reason="machine: this user has no subordinate ids")


def build_uid() -> int:
    """The first build user, as this process sees its files and processes."""
    return os.getuid() if shares_user() else FIRST


def identity(number: int = FIRST) -> Identity:
    """A builder's, for sandboxes that are made by hand."""
    return CONTRACTS["fruix"].identity(os.getuid() if shares_user() else number, number)


def builders() -> list[int]:
    """Processes of the first build user that still live.

    Where it is this process's own, those that aren't of this session don't count.
    """
    if not shares_user():
        return current().processes_of(FIRST)
    return [pid for pid in current().processes_of(os.getuid()) if _is_ours(pid)]


@contextmanager
def builder_of(uid: int, name: str) -> Iterator[int]:
    """A process of that user in namespaces of its own, as a builder in the sandbox `name` is; its number."""
    with tempfile.TemporaryDirectory() as scratch:
        os.mkdir(f"{scratch}/{name}")
        builder = f"exec setpriv --reuid {uid} --clear-groups sleep 1000"
        script = f"mount --bind {scratch}/{name} /mnt && {builder}"
        words = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", script]
        with subprocess.Popen(words) as outer:
            try:
                found = until(lambda: current().builders_of(uid, name), f"a process of user {uid}")
                yield found[0]
            finally:
                for pid in current().builders_of(uid, name):
                    current().kill_process(pid, uid)
                outer.wait()


def _is_ours(pid: int) -> bool:
    """Whether a process is in a namespace below ours, as builders are, and runs another program than we.

    One that stands ready for a next build runs ours.
    """
    try:
        inside = os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid")
        return inside and os.readlink(f"/proc/{pid}/exe") != os.readlink("/proc/self/exe")
    except OSError:
        return False


@contextmanager
def process_of_the_host() -> Iterator[int]:
    """A process whose number no process inside of a sandbox has.

    Those begin at 1, and the numbers here may be small too.
    """
    while (pid := os.fork()) < 300:
        if pid == 0:
            signal.pause()
            os._exit(0)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@contextmanager
def private_frx() -> Iterator[str]:
    """An empty directory on /frx (where it really is), and one for the locks of build users.

    Only this process and its children see them.

    So these builds get the first users, whatever other daemons of the machine build.
    """
    with shown_at("/frx") as place:
        if userns.confined():  # those locks are in the home directory, which is the test's own
            yield place
            return
        with shown_at("/run/fruix"):
            yield place


@contextmanager
def shown_at(place: str) -> Iterator[str]:
    """A fresh directory that this process and its children see at `place`; where it really is."""
    os.makedirs(place, exist_ok=True)
    own_mounts()
    # A directory, not a tmpfs for each: SQLite knows files by device and inode, and fresh file
    # systems repeat those.
    parent, directory = tempfile.gettempdir(), tempfile.mkdtemp(prefix="frx-test-")
    os.chmod(directory, 0o755)
    libc.mount(directory.encode(), place.encode(), None, libc.MS_BIND)
    try:
        yield directory
    finally:
        libc.umount(place.encode(), libc.MNT_DETACH)
        descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        delete_tree(descriptor, os.path.basename(directory).encode())
        os.close(descriptor)


@dataclass
class Machine:
    """A store, a builder, and shortcuts."""

    store: LocalStore
    builder: Builder
    events: list[Event] = field(default_factory=list)
    _shell: StorePath | None = None

    def shell(self, scratch: Path) -> StorePath:
        """A store object with busybox and links for its applets."""
        if self._shell is None:
            tree = scratch / "bb" / "bin"
            tree.mkdir(parents=True)
            (tree / "busybox").write_bytes(Path(BUSYBOX).read_bytes())
            (tree / "busybox").chmod(0o755)
            for applet in subprocess.check_output([BUSYBOX, "--list"], text=True).split():
                if applet != "busybox":
                    (tree / applet).symlink_to("busybox")
            self._shell = self.store.add_path("bb", str(scratch / "bb"))
        return self._shell

    def derivation(
        self,
        name: str,
        script: str,
        shell: StorePath,
        *,
        env: Mapping[str, str] | None = None,
        inputs: Iterable[StorePath] = (),
        sources: Iterable[StorePath] = (),
        outputs: Mapping[str, DerivationOutput] | None = None,
        system: str | None = None,
        builder: str | None = None,
    ) -> StorePath:
        """Add a derivation whose builder is busybox's shell running `script`."""
        plain = Derivation(
            name,
            outputs or {"out": DerivationOutput(None)},
            dict.fromkeys(sorted(inputs), ("out",)),
            tuple(sorted({shell, *sources})),
            system or local_system(),
            builder or f"{shell}/bin/sh",
            ("-c", f"PATH={shell}/bin\n{script}"),
            dict(env or {}),
        )
        drv = fill_outputs(plain, DerivationHasher(self.store.read_derivation), self.store.directory)
        return self.store.add_text(name + ".drv", aterm.render(drv), list(drv.references))

    def build(self, *drvs: StorePath, options: BuildOptions | None = None) -> list[BuildResult]:
        """Build all outputs; events are kept."""
        requests = [DerivedPath(drv, ALL) for drv in drvs]
        results = self.builder.realise(
            requests, options or BuildOptions("fruix"), self.events.append, threading.Event()
        )
        self.settle()
        return [result for _, result in results]

    def settle(self) -> None:
        """Wait until builds that are answered have been tidied up."""
        scheduler = self.builder._scheduler
        until(lambda: all(job.result is None for job in scheduler._all()), "what is done behind answers")

    def log(self, drv: StorePath) -> str:
        """What its builder wrote."""
        return b"".join(read_log(self.store.layout.log_file(drv))).decode()

    def output(self, drv: StorePath, name: str = "out") -> Path:
        """Where an output lies."""
        return Path(self.store.real(self.store.derivation_outputs(drv)[name]))


@contextmanager
def machine(settings: BuildSettings | None = None, connect: Connect = no_machine) -> Iterator[Machine]:
    """A machine for the length of a test; afterwards nothing of a build may be left."""
    with private_frx():
        spawner = Spawner.start()  # before the store has threads
        try:
            with LocalStore(Layout()).open() as store:
                chosen = settings or BuildSettings(max_jobs=2, cores=2)
                builder = Builder(store, spawner, chosen, connect=connect)
                try:
                    yield Machine(store, builder)
                finally:
                    builder.close()
                assert left_over(store) == []
                assert store.verify(contents=True) == []
        finally:
            spawner.close()


def left_over(where: LocalStore | Layout) -> list[str]:
    """Traces that a build should not have left."""
    layout = where if isinstance(where, Layout) else where.layout
    builds = [name for name in os.listdir(layout.builds) if name.startswith("frx-")]
    notes = f"{layout.builds}/journal"
    journal = os.listdir(notes) if os.path.isdir(notes) else []
    ready = of_running_daemons(layout.builds)
    journal = [name for name in journal if name.removesuffix(".json") not in ready]
    # Where the store is a file system of its own, objects are put together in it.
    own = {os.path.basename(layout.staging[-1]), LINKS}
    hidden = [name for name in os.listdir(layout.store) if name.startswith(".") and name not in own]
    return [*builds, *journal, *os.listdir(layout.locks), *hidden]


def machines() -> tuple[Any, Any]:
    """The fixtures `here` and `shell` of a module each of whose tests gets a machine of its own."""

    @pytest.fixture
    def here() -> Iterator[Machine]:
        with machine() as one:
            yield one

    @pytest.fixture
    def shell(here: Machine, tmp_path: Path) -> StorePath:
        return here.shell(tmp_path)

    return here, shell


def one_machine() -> tuple[Any, Any]:
    """The same of a module whose tests share one machine, once for each back end."""

    @pytest.fixture(scope="module")
    def here(each_back_end: str) -> Iterator[Machine]:
        with machine() as one:
            yield one

    @pytest.fixture(scope="module")
    def shell(here: Machine, tmp_path_factory: pytest.TempPathFactory) -> StorePath:
        return here.shell(tmp_path_factory.mktemp("shell"))

    return here, shell
