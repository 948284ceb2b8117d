"""What it costs to tell a client of Nix of a build, counted: no load of the machine changes that."""

from __future__ import annotations

from fruix.model.events import BuildFinished, BuildStarted
from fruix.model.storepath import StorePath
from fruix.protocol import messages
from fruix.protocol.event_messages import event_writer
from fruix.protocol.options import ClientOptions
from fruix.protocol.realise_activities import Expected
from fruix.protocol.wire import Context, Dialect
from packages.test_cost import calls

NIX = Context(Dialect.NIX, 0x123 & 0xFF, "/frx/store")
DRV = StorePath("/frx/store/00000000000000000000000000000000-x.drv")

# Calls of Python's functions for the fourteen messages of a build; 153 while each number was written by one.
MOST_CALLS = 60


def test_messages_of_a_build_take_few_calls() -> None:
    writer = event_writer(NIX, ClientOptions(verbosity=3), "x86_64-linux", Expected(1))
    said = [
        *writer.messages(BuildStarted(DRV, "x", "/log", 1, 1.0)),
        *writer.messages(BuildFinished(DRV, 1.0, {"out": "/frx/store/o"})),
        *writer.end(),
    ]
    sink = bytearray()

    def tell() -> None:
        sink.clear()
        for message in said:
            messages.write(sink, message, NIX)

    tell()  # what a version's messages consist of is worked out once
    assert len(said) == 14
    assert calls(tell) <= MOST_CALLS
