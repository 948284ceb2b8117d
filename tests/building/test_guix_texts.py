"""What clients of the Guix dialect are told, against recorded texts and traces of the real daemon."""

from __future__ import annotations

import re
from typing import Any

from fruix.model.build_options import BuildOptions
from fruix.model.buildresult import BuildMode
from fruix.model.derivation import DerivationOutput
from fruix.model.events import BuildFailed
from fruix.model.hashes import Hash
from fruix.model.reasons import ends_request, text_of
from fruix.model.storepath import StorePath
from fruix.protocol.event_messages import event_writer
from fruix.protocol.messages import Next
from fruix.protocol.options import ClientOptions
from fruix.protocol.wire import Context, Dialect
from golden_data import load
from machine import Machine, machines

TEXTS = load("messages.json")["guix"]
FIXED = {"out": DerivationOutput(None, "sha256", "0" * 64)}
RANDOM = "cat /proc/sys/kernel/random/uuid > $out"


here, shell = machines()


def told(here: Machine, *drvs: StorePath, **how: Any) -> list[str]:
    """The lines that a client gets, without what is different each time."""
    how = {"timeout": 60, "keep_going": True, "keep_differing": False, **how}
    options = BuildOptions("guix", how.pop("mode", BuildMode.NORMAL), **how)
    here.events.clear()
    here.build(*drvs, options=options)
    writer = event_writer(
        Context(Dialect.GUIX, 0x64, here.store.directory), ClientOptions(build_verbosity=1), "x86_64-linux"
    )
    text = "".join(
        message.text
        for event in here.events
        for message in writer.messages(event)
        if isinstance(message, Next)
    )
    return plain(text.splitlines())


def error_of(here: Machine) -> str:
    """What is the error of the whole request, instead of a message."""
    failed = next(event for event in reversed(here.events) if isinstance(event, BuildFailed))
    assert failed.reason
    assert ends_request(failed.reason)
    return plain([text_of(failed.reason, failed.drv, guix=True)])[0]


def plain(lines: list[str]) -> list[str]:
    """Hash parts, process numbers, log files and places of kept directories are not compared."""
    changed = []
    for line in lines:
        text = re.sub(r"/frx/store/[0-9a-z]{32}-", "/frx/store/HASH-", line)
        text = re.sub(r" /frx/var/log/\S+ \S+$", " LOG PID", text)
        text = re.sub(r"(keeping build directory `).*'", r"\1DIRECTORY'", text)
        changed.append(text)
    return changed


def recorded(name: str, **changes: str) -> list[str]:
    lines = plain(TEXTS[name]["lines"])
    for old, new in changes.items():
        lines = [line.replace(old, new) for line in lines]
    return lines


def test_timeouts(here: Machine, shell: StorePath) -> None:
    slow = here.derivation("slow", "while :; do echo x; sleep 0.1; done", shell)
    # The real one forgets to fill in the number.
    expected = [line.replace("%2%", "1") for line in recorded("slow")]
    assert told(here, slow, timeout=1) == expected
    silent = here.derivation("silent", "sleep 1000", shell)
    assert told(here, silent, max_silent_time=2) == recorded("silent")


def test_outputs_that_are_refused(here: Machine, shell: StorePath) -> None:
    noout = here.derivation("noout", "true", shell)
    assert told(here, noout, keep_failed=True) == recorded("noout")
    ww = here.derivation("ww", "echo x > $out; chmod 666 $out", shell)
    assert told(here, ww, keep_failed=True) == recorded("ww")
    cyc = here.derivation(
        "cyc",
        "echo $b > $out; echo $out > $b",
        shell,
        outputs={"out": DerivationOutput(None), "b": DerivationOutput(None)},
    )
    found, expected = told(here, cyc, keep_failed=True), recorded("cyc")
    assert [line.replace("-cyc-b'", "-cyc'") for line in found] == expected


def test_rounds(here: Machine, shell: StorePath) -> None:
    nondet = here.derivation("nondet", RANDOM, shell)
    # Each round is announced; the recording's second one was the last thing that differs.
    started = recorded("nondet")[:1]
    assert told(here, nondet, rounds=2) == started + recorded("nondet")
    nondet2 = here.derivation("nondet2", RANDOM, shell)
    started = recorded("nondet2")[:1]
    assert told(here, nondet2, rounds=2, keep_failed=True) == started + recorded("nondet2")


def test_failures(here: Machine, shell: StorePath) -> None:
    dep = here.derivation("dep", "exit 3", shell)
    top = here.derivation("top", "true", shell, inputs=[dep])
    assert told(here, top) == recorded("dep") + recorded("top")


def test_a_missing_derivation(here: Machine) -> None:
    gone = StorePath.of(here.store.directory, "0" * 32 + "-gone.drv")
    assert told(here, gone) == ["cannot build missing derivation `/frx/store/HASH-gone.drv'"]


def test_wrong_contents(here: Machine, shell: StorePath) -> None:
    badhash = here.derivation("badhash", "echo x > $out", shell, outputs=FIXED)
    started, mismatch, said, failed = told(here, badhash)
    assert started.startswith("@ build-started /frx/store/HASH-badhash.drv - x86_64-linux LOG PID")
    got = Hash.of("sha256", b"x\n").nix32
    assert mismatch == f"@ hash-mismatch /frx/store/HASH-badhash sha256 {'0' * 52} {got}"
    assert said == "hash mismatch for store item '/frx/store/HASH-badhash'"
    assert failed == f"@ build-failed /frx/store/HASH-badhash.drv - 1 {said}"


def test_checks(here: Machine, shell: StorePath) -> None:
    simple = here.derivation("simple", "echo x > $out", shell)
    told(here, simple)
    drv = "/frx/store/HASH-simple.drv"
    assert told(here, simple, mode=BuildMode.CHECK) == [
        f"@ build-started {drv} - x86_64-linux LOG PID",
        f"@ build-succeeded {drv} -",
        f"@ build-succeeded {drv} -",
    ]
    new = here.derivation("new", "echo x > $out", shell)
    assert told(here, new, mode=BuildMode.CHECK) == []
    missing = "`/frx/store/HASH-new.drv' is missing outputs; build it normally before using `--check'"
    assert error_of(here) == missing
    odd = here.derivation("odd", RANDOM, shell)
    told(here, odd)
    text = (
        "derivation `/frx/store/HASH-odd.drv' may not be deterministic: output `/frx/store/HASH-odd' differs"
    )
    assert told(here, odd, mode=BuildMode.CHECK)[1:] == []
    assert error_of(here) == text
    told(here, odd, mode=BuildMode.CHECK, keep_failed=True)
    assert error_of(here) == f"{text} from `/frx/store/HASH-odd-check'"


def test_repairs(here: Machine, shell: StorePath) -> None:
    ok = here.derivation("ok", "echo x > $out", shell)
    here.build(ok)
    here.output(ok).chmod(0o644)
    here.output(ok).write_text("y")
    found = told(here, ok, mode=BuildMode.REPAIR)
    assert found[0] == "path `/frx/store/HASH-ok' is corrupted or missing!"
    assert found[-1] == "@ build-succeeded /frx/store/HASH-ok.drv -"
