"""What daemon and spawner send each other comes out as it went in, however long a detail is."""

from __future__ import annotations

from typing import Any

import pytest

from fruix.dataclass import replace
from fruix.sandbox.back_ends import Exit
from fruix.sandbox.spawner.ipc import (
    SIZE,
    Answer,
    Failed,
    Running,
    SealedRequest,
    SpawnRequest,
    decode,
    encode,
)
from fruix.sandbox.spec import Bind, Entry, Exec, File, Identity, SandboxSpec


def test_a_request_keeps_fault_and_specification() -> None:
    spec = SandboxSpec(
        "frx-a",
        "/r\nr",
        Identity(1, 2, 1, 2, groups=(3,)),
        Exec("/bin/sh", ("sh", "a\nb"), {"x": "ü"}, "/"),
        binds=(Bind("/a", "/b"),),
        files=(File("/etc/x", b"\0\n"),),
    )
    assert SpawnRequest.parse(SpawnRequest(spec).to_bytes()) == SpawnRequest(spec)
    request = SpawnRequest(spec, "exec:builder")
    assert SpawnRequest.parse(request.to_bytes()) == request


@pytest.mark.parametrize(
    "answer", [Running(1), Exit(0, None, 1, 2, 3), Failed("exec", 2, "x"), Failed("clean-up", left=True)]
)
def test_an_answer_comes_out_as_it_went_in(answer: Answer) -> None:
    assert decode(encode(answer)) == answer


def test_a_detail_without_end_is_cut_and_the_message_stays_whole() -> None:
    data = encode(Failed("binds", 2, "\U0001f300" * SIZE))
    assert len(data) <= SIZE
    answer = decode(data)
    assert isinstance(answer, Failed)
    assert (answer.step, answer.errno) == ("binds", 2)


@pytest.mark.parametrize("data", [b"", b'["Failed", {"step"'])
def test_half_a_message_is_none(data: bytes) -> None:
    with pytest.raises(ValueError, match="Expecting"):
        decode(data)


def test_of_a_sealed_request_only_the_first_line_is_read() -> None:
    spec = SandboxSpec(
        "frx-a", "/r", Identity(1, 2, 1, 2), Exec("/x", ("x",), {}, "/"), memory_max=5, pids_max=6
    )
    data = SpawnRequest(spec, "exec:builder").to_bytes()
    sealed = SealedRequest(data.partition(b"\n")[0] + b"\nno specification")
    assert (sealed.fault, sealed.plain, sealed.memory_max, sealed.pids_max) == ("exec:builder", True, 5, 6)
    assert SealedRequest(data).spec() == spec


@pytest.mark.parametrize(
    "change",
    [
        {"network": "host"},
        {"personality": "linux32"},
        {"program": Entry("fruix.x:y", {})},
    ],
)
def test_what_needs_more_than_a_program_is_not_plain(change: dict[str, Any]) -> None:
    spec = SandboxSpec("frx-a", "/r", Identity(1, 2, 1, 2), Exec("/x", ("x",), {}, "/"))
    assert SealedRequest(SpawnRequest(spec).to_bytes()).plain
    assert not SealedRequest(SpawnRequest(replace(spec, **change)).to_bytes()).plain
