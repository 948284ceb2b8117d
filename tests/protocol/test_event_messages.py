from __future__ import annotations

import os
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruix.model.buildresult import BuildStatus
from fruix.model.events import (
    BuildFailed,
    BuildFinished,
    BuildStarted,
    Event,
    LogLine,
    Message,
    PhaseStarted,
    Progress,
    SubstitutionFailed,
    SubstitutionFinished,
    SubstitutionStarted,
    Waiting,
)
from fruix.model.reasons import reason
from fruix.model.storepath import StorePath
from fruix.protocol import messages
from fruix.protocol.activities import ResultType
from fruix.protocol.event_messages import NixWriter, event_writer
from fruix.protocol.event_reader import EventReader
from fruix.protocol.messages import Next, Result, StartActivity, StopActivity
from fruix.protocol.options import ClientOptions
from fruix.protocol.reader import Source
from fruix.protocol.realise_activities import Expected
from fruix.protocol.wire import FEATURE, Context, Dialect
from protocol.strategies import STORE, paths, texts

NIX = Context(Dialect.NIX, 38, STORE)
OWN = Context(Dialect.NIX, 38, STORE, frozenset({FEATURE}))
GUIX = Context(Dialect.GUIX, 0x64, STORE)

drvs = paths(".drv")
seconds = st.floats(0, 1e9)
numbers = st.integers(0, 1 << 40)
some_events = st.one_of(
    st.builds(BuildStarted, drvs, texts, texts, numbers, seconds),
    st.builds(PhaseStarted, drvs, texts, seconds),
    st.builds(LogLine, drvs, texts),
    st.builds(Progress, drvs, numbers, numbers, texts),
    st.builds(BuildFinished, drvs, seconds, st.dictionaries(texts, texts, max_size=2)),
    st.builds(BuildFailed, drvs, st.sampled_from(BuildStatus), texts, seconds),
    st.builds(Waiting, drvs, texts),
    st.builds(Message, st.integers(0, 3), texts),
    st.builds(SubstitutionStarted, drvs, texts, numbers, numbers),
    st.builds(SubstitutionFinished, drvs),
    st.builds(SubstitutionFailed, drvs, texts),
)


def sent(events: list[Event], context: Context) -> list[messages.Message]:
    writer = event_writer(context, ClientOptions(verbosity=3), "x86_64-linux")
    data = b"".join(
        messages.encode(message, context) for event in events for message in writer.messages(event)
    )
    source = Source.of(data)
    found = []
    while source.buffered:
        source.expect()
        found.append(messages.read(source, context))
    return found


def received(events: list[Event], context: Context) -> list[Event]:
    clock = count(100)
    reader = EventReader(context, lambda: float(next(clock)))
    return [event for message in sent(events, context) for event in reader.events(message)]


@given(st.lists(some_events, max_size=6))
def test_our_own_clients_lose_nothing(events: list[Event]) -> None:
    assert received(events, OWN) == events


@given(drvs, texts.filter(lambda line: not line.startswith("@nix ")), texts, texts, numbers, numbers)
def test_activities_keep_what_they_can(
    drv: StorePath, line: str, phase: str, url: str, done: int, total: int
) -> None:
    events: list[Event] = [
        Waiting(drv, "lock"),
        BuildStarted(drv, "name", "/log", 1, 1.0),
        PhaseStarted(drv, phase, 2.0),
        LogLine(drv, line),
        Progress(drv, done, total, url),
        BuildFinished(drv, 1.0, {}),
    ]
    assert received(events, NIX) == [
        Waiting(drv, "lock"),
        BuildStarted(drv, drv.short_name, "", 0, 100.0),
        PhaseStarted(drv, phase, 101.0),
        LogLine(drv, line),
        Progress(drv, done, total, url),
        BuildFinished(drv, 2.0, {}),
    ]


@given(st.lists(some_events, max_size=8))
def test_activities_are_unique_and_those_of_ended_builds_end(events: list[Event]) -> None:
    said = sent(events, NIX)
    started = [message.id for message in said if isinstance(message, StartActivity)]
    stopped = [message.id for message in said if isinstance(message, StopActivity)]
    assert len(set(started)) == len(started)
    assert len(set(stopped)) == len(stopped)
    assert set(stopped) <= set(started)


@given(st.lists(some_events, max_size=8))
def test_the_guix_dialect_has_no_activities(events: list[Event]) -> None:
    assert all(isinstance(message, Next) for message in sent(events, GUIX))


@given(drvs, numbers)
def test_guix_traces(drv: StorePath, pid: int) -> None:
    events: list[Event] = [
        BuildStarted(drv, "name", "/log/x.gz", pid, 1.0, system="i686-linux"),
        LogLine(drv, "@ build-succeeded forged"),
        BuildFailed(drv, BuildStatus.PERMANENT_FAILURE, "it broke\nbadly", 1.0),
        BuildFailed(drv, BuildStatus.TIMED_OUT, "too slow", 1.0),
        BuildFailed(
            drv, BuildStatus.MISC_FAILURE, "no", 1.0, reason("system", wanted="m68k-linux", here="x")
        ),
    ]
    writer = event_writer(GUIX, ClientOptions(overrides={"multiplexed-build-output": "true"}), "x86_64-linux")
    texts_sent = [m.text for event in events for m in writer.messages(event) if isinstance(m, Next)]
    assert texts_sent == [
        f"@ build-started {drv} - i686-linux /log//x.gz {pid}\n",
        f"@ build-log {pid} 25\n@ build-succeeded forged\n",
        f"it broke\nbadly\n@ build-failed {drv} - 1 it broke\n",
        f"too slow\n@ build-failed {drv} - timeout\n",
        (
            f"@ unsupported-platform {drv} m68k-linux\n"
            f"a `m68k-linux' is required to build `{drv}', but I am a `x'\n"
            f"@ build-failed {drv} - 0 a `m68k-linux' is required to build `{drv}', but I am a `x'\n"
        ),
    ]


@given(drvs, numbers)
def test_guix_downloads(drv: StorePath, pid: int) -> None:
    out, url = "/frx/store/out", "https://example.org/x.tar.gz"
    events: list[Event] = [
        BuildStarted(drv, "x", "/log/x.gz", pid, outputs={"out": out}),
        Progress(drv, 0, 100, url),
        Progress(drv, 60, 100, url),
        BuildFinished(drv, 1.0, {"out": out}),
        BuildStarted(drv, "x", "/log/x.gz", pid, outputs={"out": out}),
        Progress(drv, 7, 0, url),
        BuildFailed(drv, BuildStatus.TRANSIENT_FAILURE, "gone"),
    ]

    def said(extended: str) -> list[str]:
        options = ClientOptions(overrides={"print-extended-build-trace": extended})
        writer = event_writer(GUIX, options, "x86_64-linux")
        return "".join(
            m.text for event in events for m in writer.messages(event) if isinstance(m, Next)
        ).splitlines()

    assert [line for line in said("1") if "download" in line] == [
        f"@ download-started {out} {url} 100",
        f"@ download-progress {out} {url} 100 0",
        f"@ download-progress {out} {url} 100 60",
        f"@ download-succeeded {out} {url} 100",
        f"@ download-started {out} {url} -",
        f"@ download-progress {out} {url} - 7",
    ]
    assert not any("download" in line for line in said("0"))


@pytest.mark.parametrize("text", ["1", "{}", '{"action": null}', '{"action": 123}', '["action"]'])
def test_what_is_marked_as_a_message_and_is_none_is_said_to_clients_of_nix(text: str) -> None:
    drv = StorePath.parse(f"{STORE}/0c0igv7g3rnyq6xjzwgjd1zdcn0bwfpb-a.drv")
    said, line = sent([LogLine(drv, f"@nix {text}")], NIX)
    assert isinstance(said, Next)
    assert said.text.startswith("warning: Unable to handle a JSON message from the derivation builder: ")
    assert line == Result(0, ResultType.BUILD_LOG_LINE, (f"@nix {text}",))


def test_what_is_no_json_is_said_in_other_words() -> None:
    drv = StorePath.parse(f"{STORE}/0c0igv7g3rnyq6xjzwgjd1zdcn0bwfpb-a.drv")
    said, _ = sent([LogLine(drv, "@nix ][")], NIX)
    assert isinstance(said, Next)
    assert said.text.startswith("bad JSON log message from the derivation builder: ")
    assert len(sent([LogLine(drv, '@nix {"action": "msg"}')], NIX)) == 1
    assert len(sent([LogLine(drv, "@nix ][")], OWN)) == 1


def test_counts_stand_around_what_a_request_does() -> None:
    """What had not begun has not failed; nothing is told of a request that does nothing."""
    first, second = (StorePath.parse(f"{STORE}/{digit * 32}-a.drv") for digit in "01")
    writer = NixWriter(ClientOptions(verbosity=3), Expected(2, 0, 10, 20))
    assert list(writer.end()) == []
    events: list[Event] = [
        BuildStarted(first, "a"),
        BuildFailed(first, BuildStatus.PERMANENT_FAILURE, "x"),
        BuildFailed(second, BuildStatus.DEPENDENCY_FAILED, "y"),
    ]
    told = [message for event in events for message in writer.messages(event)] + list(writer.end())
    started = [message.type for message in told if isinstance(message, StartActivity)]
    assert started == [102, 104, 103, 105]
    counts = [m.fields for m in told if isinstance(m, Result) and m.type == ResultType.PROGRESS]
    assert counts == [(0, 2, 1, 0), (0, 0, 0, 0), (0, 2, 0, 1), (0, 0, 0, 0)]
    assert [m.fields for m in told if isinstance(m, Result) and m.type == ResultType.SET_EXPECTED] == [
        (101, 10),
        (100, 20),
    ]
    ids = [message.id for message in told if isinstance(message, StartActivity)]
    assert [message.id for message in told if isinstance(message, StopActivity)] == ids[::-1]


@pytest.mark.parametrize("ended", [SubstitutionFinished, SubstitutionFailed])
def test_a_substitution_stands_around_its_copy(ended: type[Event]) -> None:
    path = StorePath.parse(f"{STORE}/{'0' * 32}-a")
    cache, url = "https://cache.example", "https://cache.example/a.nar"
    failed = ended is SubstitutionFailed
    end = SubstitutionFailed(path, "gone") if failed else SubstitutionFinished(path)
    begun, copying, transfer, progress, *rest = sent(
        [
            SubstitutionStarted(path, cache, 10, 200),
            Progress(path, 5, 10, url),
            Progress(path, 10, 10, "a.nar"),
            end,
        ],
        NIX,
    )
    ids = [message.id for message in (begun, copying, transfer) if isinstance(message, StartActivity)]
    around, copy, download = ids
    assert begun == StartActivity(around, 0, 108, "", (str(path), cache), 0)
    text = f"copying path '{path}' from '{cache}'"
    assert copying == StartActivity(copy, 3, 100, text, (str(path), cache, "local"), around)
    assert transfer == StartActivity(download, 3, 101, f"downloading '{url}'", (url,), copy)
    assert progress == Result(download, ResultType.PROGRESS, (5, 10, 0, 0))
    assert rest == [
        StopActivity(download),
        *(() if failed else [Result(copy, ResultType.PROGRESS, (200, 200, 0, 0))]),
        StopActivity(copy),
        StopActivity(around),
        *([Next("error: gone\n")] if failed else ()),
    ]


def test_ids_of_activities_are_no_other_connection_s() -> None:
    """A client may have several at once, of several daemons."""
    drv = StorePath.parse(f"{STORE}/{'0' * 32}-a.drv")
    writers = [NixWriter(ClientOptions(verbosity=3)) for _ in range(3)]
    told = [message for writer in writers for message in writer.messages(BuildStarted(drv, "a"))]
    ids = [message.id for message in told if isinstance(message, StartActivity)]
    assert len({*ids}) == 3
    assert {number >> 32 for number in ids} == {os.getpid()}
