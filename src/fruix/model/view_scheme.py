"""A host view as Scheme data, for programs in Guile (`fruix/guile/fruix/host-view.scm` reads it)."""

from __future__ import annotations

from fruix.model.hostview import HostView


def view_as_scheme(view: HostView, system: str, store: str) -> str:
    """An association list: the view, whose machine it is of, and the file names of its programs.

    Args:
        view: the view as it is now.
        system: of the machine that has it, such as `x86_64-freebsd`.
        store: that machine's store directory.
    """
    programs = sorted(path for path in view.tools if path.rpartition("/")[0] in view.path)
    rows = {
        "view": [view.name], "fingerprint": [view.fingerprint], "system": [system], "store": [store],
        "path": view.path, "programs": programs,
    }  # fmt: skip
    lines = [f"({key} {' '.join(map(_string, values))})" for key, values in rows.items()]
    return "(" + "\n ".join(lines) + ")\n"


def _string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
