"""Why a build went as it did, as plain data, and how that is told.

A reason is a flat mapping (so it can cross any wire as JSON): its `kind` is a row of
`fruix.model.reason_rows`, its other values fill the row's texts.
"""

from __future__ import annotations

from collections.abc import Mapping

from fruix.model.reason_rows import OTHER, ROWS, ReasonRow
from fruix.model.storepath import StorePath

Reason = Mapping[str, str | int]


def reason(kind: str, **values: str | int) -> Reason:
    """A reason of one of the kinds."""
    return {"kind": kind, **values}


def row_of(why: Reason) -> ReasonRow:
    """The row of a reason; that of `OTHER` for a kind that this version doesn't know."""
    return ROWS.get(str(why.get("kind")), ROWS[OTHER])


def text_of(why: Reason, drv: StorePath, *, guix: bool = False) -> str:
    """The text for people; of a reason that this version doesn't know, what it says itself."""
    row = row_of(why)
    if not guix:
        return _filled(row.text + row.more, why, drv)
    return _filled(row.guix or row.text.replace("'{", "`{") + row.more, why, drv)


def brief_of(why: Reason, drv: StorePath) -> str:
    """The same without what its further lines list."""
    return _filled(row_of(why).text, why, drv)


def _filled(template: str, why: Reason, drv: StorePath) -> str:
    values = {"text": "", "likely": "", **why, "drv": str(drv)}
    try:
        return template.format_map(values)
    except KeyError:
        return str(values["text"])


def ends_request(why: Reason) -> bool:
    """Whether in the Guix dialect that is the error of the whole request, and told nowhere else."""
    return why.get("kind") in _ENDS_REQUEST


_ENDS_REQUEST = frozenset({"check-differs", "check-differs-kept", "missing-outputs"})
