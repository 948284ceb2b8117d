"""A kernel that prints every call.

A line has its name, what matters of its arguments, its result and time, or errno and the kernel's
own message.

Lines go to descriptor 1 as they come, by whichever process makes the call: the one that asks, the
supervisor, the builder in its jail.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from fruix.sandbox.freebsd import abi
from fruix.sandbox.freebsd.kernel import Kernel, KernelError

_MOST = 160  # characters of arguments


class Traced:
    """Stands in the place of `kernel` (see `sandbox.freebsd.kernel.Kernel`)."""

    def __init__(self, kernel: Kernel, only: Sequence[str] = ()) -> None:
        """Tell of calls named in `only`; of all by default."""
        self._kernel = kernel
        self._only = only

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._kernel, name)
        if not callable(call) or (self._only and name not in self._only):
            return call
        return _telling(name, call)


def say(line: str) -> None:
    """Print a line, and flush it: what follows may end the process."""
    os.write(1, f"{line}\n".encode("utf-8", "replace"))


def _telling(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def told(*arguments: Any) -> Any:
        words = ", ".join(map(_shown, arguments))
        shown = words if len(words) <= _MOST else words[:_MOST] + "…"
        begun = time.monotonic()
        try:
            result = call(*arguments)
        except KernelError as error:
            number = errno.errorcode.get(error.errno or 0, str(error.errno))
            message = f' "{error.errmsg}"' if error.errmsg else ""
            say(f"    {name}({shown}) = {number} {os.strerror(error.errno or 0)}{message}")
            raise
        milliseconds = (time.monotonic() - begun) * 1000
        say(f"    {name}({shown}) = {_result(result)} ({milliseconds:.1f} ms)")
        return result

    return told


def _result(value: Any) -> str:
    if value is None:
        return "0"
    if isinstance(value, list) and value and isinstance(value[0], abi.FileSystem):
        return f"{len(value)} mounts"
    return _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return _bytes(value)
    if isinstance(value, bytearray):
        return f"<{len(value)} bytes>"
    if isinstance(value, list | tuple) and value and isinstance(value[0], tuple):
        return " ".join(map(_pair, value))
    return hex(value) if isinstance(value, int) and value > 0xFFFF else str(value)


def _pair(pair: tuple[bytes, bytes | bytearray | None]) -> str:
    name = pair[0].rstrip(b"\0").decode()
    if pair[1] is None:
        return name
    if isinstance(pair[1], bytearray):
        return f"{name}=?"
    return f"{name}={_bytes(pair[1])}"


def _bytes(value: bytes) -> str:
    """A text, a number of four bytes, or hex digits."""
    text = value.removesuffix(b"\0")
    if all(32 <= byte < 127 for byte in text) and value != b"\0":
        return text.decode()
    return str(abi.integer_in(value)) if len(value) == 4 else f"0x{value.hex()}"
