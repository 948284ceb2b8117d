"""What clients are told to do: hints name commands of `fruix`, and clients of other worlds get their own.

Texts of errors and of failed builds say what is wrong, and name no command; what to do about it stands
apart, in a hint. Here both become one text, the only way to a client that has no place for hints. Of
a hint only what such a client can follow is left: a clause with a command that it lacks is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fruix.late import late_pattern
from fruix.protocol.wire import FEATURE, Context

# Commands, longer ones first, and what stands for them in Nix. (guix-daemon gives no advice.)
_OF_NIX: Mapping[str, str] = {
    "fruix store verify --contents --repair": "nix-store --verify --check-contents --repair",
    "fruix store verify --repair": "nix-store --verify --repair",
    "fruix store verify": "nix-store --verify",
    "fruix store add": "nix-store --add",
    "fruix gc": "nix-collect-garbage",
    "fruix log": "nix-store -l",
}
_COMMAND = late_pattern(rf"(?<![/\w.-])({'|'.join(_OF_NIX)})\b(?! --)")
_OWN = late_pattern(r"(?<![/\w.-])fruix [a-z-]+")
_BETWEEN = late_pattern(r"(; |\. (?=[A-Z])|\n(?! ))")


def advised(message: str, hint: str, context: Context) -> str:
    """Return a message and what to do, for a client that gets both as one text."""
    told = hint if FEATURE in context.features else in_words_of_nix(hint)
    return f"{message}\n{told}" if told else message


def in_words_of_nix(hint: str) -> str:
    """Return what is left of a hint for clients that aren't Fruix's own."""
    return "".join(_kept(hint)).strip("; \n")


def _kept(hint: str) -> Iterator[str]:
    first, *rest = _BETWEEN.split(hint)
    for before, clause in zip(("", *rest[::2]), (first, *rest[1::2]), strict=True):
        text = _COMMAND.sub(lambda found: _OF_NIX[found[1]], clause)
        if not _OWN.search(text):
            yield before + text
