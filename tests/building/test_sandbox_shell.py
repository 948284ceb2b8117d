"""Shells in real sandboxes: what they are and see, and that nothing is left of them."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from building.entering import enter
from fruix.building.sandbox_shell import ShellRequest
from fruix.building.settings import BuildSettings
from fruix.errors import FruixError, UsageError
from fruix.model.activity import State
from fruix.model.build_options import BuildOptions
from fruix.model.storepath import StorePath
from machine import Machine, left_over, one_machine
from waiting import read_until, until

here, shell = one_machine()


def test_it_is_where_and_who_the_builder_would_be(here: Machine, shell: StorePath) -> None:
    probe = "pwd; id -u; echo $HOME $greeting $NIX_BUILD_TOP; ls -1 /"
    drv = here.derivation("probed", f"{probe}; exit 1", shell, env={"greeting": "hi"})
    assert not here.build(drv)[0].success
    exited, shown = enter(here, drv, f"{shell}/bin/sh", "-c", f"PATH={shell}/bin; {probe}; test -e $out")
    assert exited.code == 1  # there is no output
    built = [text for text in (event_line(event) for event in here.events) if text]
    # Another build user may have had the same number, or the next one.
    assert [line for line in shown.splitlines() if not line.isdecimal()] == [
        line for line in built if not line.isdecimal()
    ]
    assert not here.store.is_valid(here.store.derivation_outputs(drv)["out"])


def event_line(event: object) -> str:
    return getattr(event, "line", "")


def test_a_terminal_of_its_own(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("tty", "exit 1", shell)
    script = "test -t 0 && test -t 1 && test -t 2 && echo three; echo $TERM"
    exited, shown = enter(here, drv, f"{shell}/bin/sh", "-c", script)
    assert (exited.code, shown) == (0, "three\nvt100\n")


def test_nothing_of_ours(here: Machine, shell: StorePath, each_back_end: str) -> None:
    drv = here.derivation("descriptors", "exit 1", shell)
    # A descriptor that is open can be copied.
    script = 'for n in 3 4 5 6 7 8 9; do (eval "exec 1>&$n") 2>/dev/null && echo $n; done; exit 0'
    if each_back_end == "linux-namespaces":  # whose sandboxes have that name for it
        script = f"exec 3</dev/tty && test -t 3 && exec 3<&- && echo controlling; {script}"
    exited, shown = enter(here, drv, f"{shell}/bin/sh", "-c", script)
    assert exited.code == 0
    assert shown.split() == (["controlling"] if each_back_end == "linux-namespaces" else [])


def test_an_interactive_shell(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("talk-1", "echo built > $out", shell)

    def use(outer: int) -> None:
        os.write(outer, f"echo $((6*7)); {shell}/bin/touch here; cd /; /etc/fruix-builder; exit 5\n".encode())

    exited, shown = enter(here, drv, use=use)
    assert exited.code == 5
    assert "[talk-1]$ " in shown
    assert "42\n" in shown
    assert not here.store.is_valid(here.store.derivation_outputs(drv)["out"])
    assert not os.path.lexists(here.output(drv))


def test_keys_reach_what_runs_in_the_foreground(here: Machine, shell: StorePath) -> None:
    drv = here.derivation("keys", "exit 1", shell)

    def use(outer: int) -> None:
        # Said by what runs in the foreground (what is typed is shown too, but not like that).
        os.write(
            outer,
            f"{shell}/bin/sh -c \"echo slee''ping; exec {shell}/bin/sleep 1000\"; echo woken\n".encode(),
        )
        read_until(outer, b"sleeping")
        os.write(outer, b"\x03")
        read_until(outer, b"$ ")
        os.write(outer, b"exit\n")

    exited, _ = enter(here, drv, use=use)
    assert exited.code in {0, 130}


@pytest.mark.parametrize("way", ["told", "hung up"])
def test_a_client_that_leaves_takes_everything_along(here: Machine, shell: StorePath, way: str) -> None:
    drv = here.derivation("left", "exit 1", shell)
    gone = threading.Event()
    pause = f"{shell}/bin/sleep"
    script = f"trap '' HUP; {pause} 1000 & echo there; while :; do {pause} 1000; done"
    if way == "hung up":
        script = "echo there; read -r line"  # a shell ends with its terminal

    def use(outer: int) -> None:
        read_until(outer, b"there")
        rows = until(here.builder.active, "the shell among what is active")
        assert [(row.drv, row.kind, row.state) for row in rows] == [(drv, "shell", State.RUNNING)]
        assert (rows[0].memory or 0) > 0
        if way == "told":
            gone.set()
        else:
            null = os.open("/dev/null", os.O_RDONLY)
            os.dup2(null, outer)  # closes the outer end
            os.close(null)

    exited, _ = enter(here, drv, f"{shell}/bin/sh", "-c", script, use=use, gone=gone)
    assert exited.code != 0
    assert here.builder.active() == []


def test_what_cannot_be_entered(here: Machine, shell: StorePath) -> None:
    fetch = here.derivation("file", "", shell, builder="builtin:fetchurl", env={"url": "http://localhost/"})
    with pytest.raises(UsageError, match="built by the daemon itself"):
        enter(here, fetch)
    tool = here.store.add_text("tool", b"no shell")
    bare = here.derivation("bare", "", tool, builder=f"{tool}")
    with pytest.raises(UsageError, match="no shell can be run"):
        enter(here, bare)
    foreign = here.derivation("foreign", "", shell, system="vax-netbsd")
    with pytest.raises(FruixError, match="vax-netbsd"):
        enter(here, foreign)
    here_too = here.derivation("fine", "", shell)
    with pytest.raises(UsageError, match="no kind of terminal"):
        here.builder.enter(
            ShellRequest(here_too, "$(evil)"), BuildOptions("fruix"), lambda *_: None, threading.Event()
        )
    assert left_over(here.store) == []


@pytest.mark.parametrize("contract", ["nix", "guix"])
def test_other_contracts(here: Machine, shell: StorePath, contract: str, each_back_end: str) -> None:
    drv = here.derivation(f"for-{contract}", "exit 1", shell)
    exited, shown = enter(here, drv, f"{shell}/bin/id", "-u", options=BuildOptions(contract))
    assert exited.code == 0
    if each_back_end == "linux-namespaces":
        assert shown.strip() == {"nix": "1000", "guix": "30001"}[contract]
    else:  # jails have no other ids inside
        assert int(shown) in BuildSettings().uids


def test_a_client_that_cannot_be_told(here: Machine, shell: StorePath, tmp_path: Path) -> None:
    drv = here.derivation("untold", "exit 1", shell)

    def fail(_outer: int, _text: str) -> None:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        here.builder.enter(ShellRequest(drv), BuildOptions("fruix"), fail, threading.Event())
    assert left_over(here.store) == []
