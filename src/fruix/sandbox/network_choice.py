"""The way by which builds get the network on this machine (see `networks`).

The operator's setting says which are allowed, the back end which of them work.
"""

from __future__ import annotations

from fruix.errors import IsolationUnavailableError
from fruix.sandbox.back_ends import current
from fruix.sandbox.networks import AUTO, HOST, NONE, OWN, SETTING


def choose(setting: str) -> str:
    """The way that a build gets the network when the operator says `setting`.

    Raises:
        IsolationUnavailableError: the machine offers none that the setting allows; says what to install.
    """
    if setting == NONE:
        return NONE
    reasons = []
    for way in (*OWN, HOST) if setting == AUTO else (setting,):
        reason = current().network_lacking(way)
        if not reason:
            return way
        reasons.append(reason)
    raise IsolationUnavailableError(
        f"no network for fixed-output builds: {'; '.join(reasons)}",
        hint="install pasta (Debian's package 'passt') or slirp4netns; "
        f"or set '{SETTING}' to 'none' if no build needs the network",
    )


def choose_some(setting: str, without: str, instead: str) -> str:
    """The same for what is of no use without a network.

    Args:
        setting: as of `choose`.
        without: what an operator who says "none" has switched off.
        instead: the beginning of the hint: what else can be done.

    Raises:
        IsolationUnavailableError: there is none.
    """
    way = choose(setting)
    if way == NONE:
        raise IsolationUnavailableError(without, hint=f"{instead}, or change the setting '{SETTING}'")
    return way
