"""Lists of machines, as Nix reads them."""

from __future__ import annotations

import base64

import pytest

from fruix.errors import FormatError
from fruix.model.machines import Machine, parse_machines

HERE = "x86_64-linux"
PUBLIC = "ssh-ed25519 AAAAC3Nz"


def test_every_word() -> None:
    proof = base64.b64encode(f"{PUBLIC}\n".encode()).decode()
    line = f"ssh-ng://me@box:2222 x86_64-freebsd,i686-freebsd /etc/key 4 2.5 kvm,fast big {proof}"
    assert parse_machines(f"  {line}  # the big one", HERE) == (
        Machine(
            text=line,
            uri="ssh-ng://me@box:2222",
            host="me@box",
            systems=("x86_64-freebsd", "i686-freebsd"),
            port=2222,
            key="/etc/key",
            host_key=PUBLIC,
            max_jobs=4,
            speed=2.5,
            features=frozenset({"kvm", "fast"}),
            mandatory=frozenset({"big"}),
        ),
    )


def test_defaults_lines_and_semicolons() -> None:
    found = parse_machines("a;ssh://b - - 2\n\n# c\nssh-ng://d?ssh-key=/k&remote-program=/bin/x arm", HERE)
    assert [(one.host, one.systems, one.max_jobs) for one in found] == [
        ("a", (HERE,), 1),
        ("b", (HERE,), 2),
        ("d", ("arm",), 1),
    ]
    assert (found[2].key, found[2].program, found[0].program) == ("/k", "/bin/x", "nix-daemon")


@pytest.mark.parametrize(
    "text",
    [
        "unix:///socket",
        "ssh-ng://",
        "ssh-ng://-oProxyCommand=x",
        "a - - none",
        "a - - 0",
        "a - - 1 -1",
        "a - - 1 nan",
        "a - - - - - - %%%",
        "a b c d e f g h i",
        "ssh-ng://a?compress=maybe",
        "ssh-ng://a:99999",
        "ssh-ng://a/path",
    ],
)
def test_what_is_no_machine(text: str) -> None:
    with pytest.raises(FormatError, match="machine '"):
        parse_machines(text, HERE)


@pytest.mark.parametrize(
    ("system", "required", "objection"),
    [
        ("a", ["big"], ""),
        ("b", ["big", "kvm"], ""),
        ("c", ["big"], "builds for a, b"),
        ("a", ["big", "x"], "lacks 'x'"),
        ("a", ["kvm"], "is for what requires 'big'"),
    ],
)
def test_what_it_builds(system: str, required: list[str], objection: str) -> None:
    (machine,) = parse_machines("host a,b - - - kvm big", HERE)
    assert machine.objection(system, required) == objection
