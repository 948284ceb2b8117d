"""What builders and names say reaches every kind of terminal as text.

From every command, in the terminal's encoding, at 40 columns; and without standard output.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cli.terminals import on_terminal
from fruix.cli.command_table import COMMANDS
from fruix.cli.commands.store import QUERIES
from fruix.cli.output.terminal import harmless, only_text
from machine import private_frx

# A colour that Fruix has not, character sets, titles, questions that a terminal answers, an 8-bit
# control, a line that looks like a message of Fruix's.
NASTY = (
    "\x1b[38;5;123m\x1b(B\x1b]0;title\x07\x1b[6n\x1b[2J\x9b31m\r\x08"
    "\nfruix: error: forged\nhint: forged\x1b[K"
)
SAID = NASTY.replace("\n", " ") + "\nfruix: error: forged\n"
FILE = f"""
NASTY = {NASTY!r}
SAID = {SAID!r}
def made(name, script, *inputs):
    return Package(name=name, version="1", synopsis="says … → \\u00e9 ●", home_page="http://x/",
        license="MIT", build_system="trivial", inputs=list(inputs),
        arguments={{"script": script, "environment": {{"nasty": NASTY, "said": SAID}}}})
odd = made("odd", 'mkdir "$out"; printf %s "$said"; printf %s "$said" > "$out/$nasty"; '
    'ln -s "$nasty" "$out/link"; printf x > "$out/$(printf "\\\\377")"')
needing = made("needing", 'mkdir "$out"; read -r odd < "$inputsPath"; echo "$odd" > "$out/$nasty"', odd)
bad = made("bad", 'printf %s "$said" >&2; echo "FAIL: $said"; exit 3', odd)
"""
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("FRUIX_", "NIX_", "PYTHONUNBUF"))
}
COMMAND = [sys.executable, "-m", "fruix"]

# Each command and its status; `{…}` is a path.
TABLE: Mapping[tuple[str, ...], int] = {
    ("build", "-f", "{top}/bad.py"): 100,
    ("build", "-v", "-f", "{top}/bad.py"): 100,
    ("build", "-n", "-f", "{top}/bad.py"): 0,
    ("build", "--json", "-f", "{top}/bad.py"): 100,
    ("build", "--check", "-f", "{top}/odd.py"): 0,
    ("build", "-f", "{top}/{nasty}"): 2,
    ("daemon", "--ping"): 0,
    ("doctor",): 0,
    ("edit", "hello"): 0,
    ("enter", "odd", "--", "/bin/true"): 0,
    ("gc", "--dry-run"): 0,
    ("gc", "--json", "--dry-run"): 0,
    ("gc", "--print-roots"): 0,
    ("gc", "--why-live", "{nasty}"): 2,
    ("graph", "needing"): 0,
    ("guile-path",): 0,
    ("guix-daemon", "--version"): 0,
    ("hash", "{top}/{nasty}", "{top}"): 2,
    ("hash", "{top}/odd.py", "{top}/dir"): 0,
    ("help", "build"): 0,
    ("lint", "{top}/odd.py"): 1,
    ("lint", "-b", "{top}/needing.py"): 1,
    ("log", "odd"): 0,
    ("export", "-o", "{top}/{nasty}.out", "odd"): 0,
    ("import", "--no-check-sigs", "{top}/{nasty}"): 1,
    ("copy", "--to", "{top}/{nasty}", "odd"): 1,
    ("copy", "odd"): 2,
    ("key", "generate", "--name", "{nasty}", "{top}/key"): 2,
    ("key", "public", "{top}/{nasty}"): 2,
    ("log", "-f", "bad"): 0,
    ("log", "--record", "bad"): 0,
    ("nix-daemon", "--version"): 0,
    ("packages",): 0,
    ("prefetch", "http://127.0.0.1:1/%1b[2J"): 1,
    ("prefetch", "http://127.0.0.1:1/{nasty}"): 2,
    ("ps",): 0,
    ("root", "show"): 0,
    ("root", "show", "debian-12"): 0,
    ("root", "show", "{top}/{nasty}"): 2,
    ("root", "diff", "debian-12", "{top}/{nasty}"): 2,
    ("run", "odd"): 2,
    ("search", "gnu"): 0,
    ("serve", "--stdio"): 1,
    ("shell",): 0,
    ("shell", "--", "/bin/true"): 0,
    ("show", "odd"): 0,
    ("show", "hello"): 0,
    ("size", "needing"): 0,
    ("store", "add", "{top}/dir"): 0,
    ("store", "add", "{top}/{nasty}"): 1,
    ("store", "cat", "odd/{nasty}"): 2,
    ("store", "cat", "{odd}/{nasty}"): 0,
    ("store", "ls", "needing"): 0,
    ("store", "ls", "odd"): 0,
    ("store", "info", "odd"): 0,
    ("store", "references", "needing"): 0,
    ("store", "referrers", "odd"): 0,
    ("store", "requisites", "needing"): 0,
    ("store", "derivers", "odd"): 0,
    ("store", "verify"): 0,
    ("store", "delete", "{nasty}"): 2,
    ("store", "failures"): 0,
    ("store", "sign", "-k", "{top}/{nasty}", "odd"): 2,
    ("view", "base"): 0,
    ("why", "needing", "odd"): 0,
    ("why-rebuild", "odd", "bad"): 0,
    ("{nasty}",): 2,
    ("show", "{nasty}"): 2,
    ("build", "{nasty}"): 2,
}


def test_every_command_is_in_the_table() -> None:
    assert {words[0] for words in TABLE} - {"{nasty}"} == set(COMMANDS)
    of_store = {words[1] for words in TABLE if words[0] == "store"}
    assert of_store == {"add", "cat", "delete", "ls", "info", "verify", "failures", "sign", *QUERIES}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A daemon, and a store in which two of the packages are built."""
    top = tmp_path_factory.mktemp("terminals")
    (top / "dir").mkdir()
    found = {"top": str(top), "nasty": NASTY}
    with private_frx():
        daemon = subprocess.Popen([*COMMAND, "daemon"], env=ENVIRONMENT, stderr=subprocess.DEVNULL)
        try:
            subprocess.run([*COMMAND, "daemon", "--ping", "--wait", "60"], env=ENVIRONMENT, check=True)
            for name in ("odd", "needing", "bad"):
                file = top / f"{name}.py"
                file.write_text(f"{FILE}\npackage = {name}\n", encoding="utf-8")
                done = subprocess.run(
                    [*COMMAND, "build", "-f", str(file)], env=ENVIRONMENT, capture_output=True, check=False
                )
                assert done.returncode == (100 if name == "bad" else 0), done.stderr
                found[name] = done.stdout.decode().strip()
            yield found
        finally:
            daemon.terminate()
            daemon.wait()


def environment(**more: str) -> dict[str, str]:
    return {**ENVIRONMENT, "EDITOR": "/bin/true", "SHELL": "/bin/true", "TERM": "xterm", **more}


def filled(words: tuple[str, ...], place: Mapping[str, str]) -> list[str]:
    return [word.format_map(place) for word in words]


# To a pipe these write what is there, byte for byte: a file's own lines.
RAW = {("log", "odd"), ("log", "-f"), ("store", "cat")}

# What the display of running builds does with the terminal: the cursor hidden and shown, lines up,
# lines erased.
DRAWN = re.compile(r"\x1b\[(?:\?25[lh]|\d*A|\d*[JK]|1G)|\r")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("words", TABLE, ids=lambda words: "-".join(words).replace("/", ""))
def test_text_alone_reaches_a_terminal(words: tuple[str, ...], encoding: str, place: dict[str, str]) -> None:
    variables = environment(PYTHONIOENCODING=encoding)
    status, written = on_terminal([*COMMAND, *filled(words, place)], variables, columns=40, cwd="/")
    said = written.decode(encoding, "strict")
    assert status == TABLE[words], said
    assert "Traceback" not in said
    plain = DRAWN.sub("", said)
    assert only_text(plain) == plain
    lines = [line for line in plain.splitlines() if line.startswith(("fruix: error: forged", "hint: forged"))]
    # A file's own lines are its own; all else is on lines that begin otherwise.
    assert not lines or words[:2] in RAW


@pytest.mark.parametrize("words", TABLE, ids=lambda words: "-".join(words).replace("/", ""))
def test_text_alone_reaches_a_pipe(words: tuple[str, ...], place: dict[str, str], tmp_path: Path) -> None:
    """Every command by itself: the terminal's stream, which lets nothing else through, has no part in it."""
    done = subprocess.run(
        [*COMMAND, *filled(words, place)], env=environment(), capture_output=True, check=False, cwd=tmp_path
    )
    lines = done.stderr.decode().splitlines()
    if words[:2] not in RAW:
        lines += done.stdout.decode().splitlines()
    assert [line for line in lines if harmless(line, colour=False) != line] == []
    assert [line for line in lines if line.startswith(("fruix: error: forged", "hint: forged"))] == []


@pytest.mark.parametrize(
    ("words", "redirections"),
    [
        *((words, "</dev/null >&-") for words in TABLE),
        *((words, "<&- >&- 2>&-") for words in TABLE if words[0] in {"build", "log", "enter"}),
    ],
    ids=lambda value: "-".join(value).replace("/", "") if isinstance(value, tuple) else value[:3].strip(),
)
def test_without_standard_streams(
    words: tuple[str, ...], redirections: str, place: dict[str, str], tmp_path: Path
) -> None:
    script = f'exec "$@" {redirections}'
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", *COMMAND, *filled(words, place)],
        env=environment(),
        capture_output=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == TABLE[words], done.stderr
    assert done.stdout == b""
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr


@pytest.mark.parametrize("words", [("packages",), ("--version",), ("help",), ("show", "hello")], ids="-".join)
def test_an_output_that_is_full(words: tuple[str, ...]) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, env=ENVIRONMENT, check=False, text=True
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_names_of_any_bytes_take_a_line_each(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff\xe2\x80\xa6"
    for number in (b"", b"2"):
        with open(name + number, "wb"):
            pass
    done = subprocess.run(
        [*COMMAND, "hash", name, name + b"2"], capture_output=True, env=ENVIRONMENT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
