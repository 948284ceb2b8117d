"""What a derivation declares to the daemon beside its builder.

How it may be built, what its builder finds, what its outputs may hold.

Read once from the derivation's variables, or from its JSON object if it is structured; everything
after that works with these values. A Guix derivation has no structured attributes, and some names
mean nothing there: see `read`. The table of all attributes, with what each does, is
docs/derivations.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from fruix.dataclass import dataclass, field
from fruix.errors import BadDerivationError
from fruix.model import structured
from fruix.model.derivation import Derivation
from fruix.model.text import printable

# The variables that `read` knows, but for those that no new derivation should have.
NAMES = (
    "allowSubstitutes", "allowedReferences", "allowedRequisites", "disallowedReferences",
    "disallowedRequisites", "exportReferencesGraph", "impureEnvVars", "passAsFile",
    "preferLocalBuild", "requiredSystemFeatures",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class OutputRules:
    """What one output may refer to and how big it may be.

    Words are store paths or names of outputs; None: no rule.

    Attributes:
        max_size, max_closure_size: bytes of NAR, of the output alone and with all that it needs.
        ignore_self: the output itself doesn't count among its requisites.
    """

    allowed_references: tuple[str, ...] | None = None
    allowed_requisites: tuple[str, ...] | None = None
    disallowed_references: tuple[str, ...] = ()
    disallowed_requisites: tuple[str, ...] = ()
    max_size: int | None = None
    max_closure_size: int | None = None
    ignore_self: bool = False


@dataclass(frozen=True, slots=True)
class Attributes:
    """All of them. `structured` is None where the variables are the attributes.

    Attributes:
        rules: by output; what is not in it is not limited.
        graphs: name of a file (or of a JSON attribute) → paths whose closures it lists, as written.
        no_sandbox: the builder asks for no isolation (and is refused).
    """

    structured: Mapping[str, Any] | None = None
    prefer_local: bool = False
    allow_substitutes: bool = True
    required_features: tuple[str, ...] = ()
    impure_variables: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    graphs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rules: Mapping[str, OutputRules] = field(default_factory=dict)
    discard_references: frozenset[str] = frozenset()
    no_sandbox: bool = False
    host_paths: tuple[str, ...] = ()


def read(derivation: Derivation, *, guix: bool = False) -> Attributes:
    """The attributes of a derivation.

    Args:
        derivation: what was sent.
        guix: by the rules of that world: no structured attributes, no files, no features.

    Raises:
        BadDerivationError: a value that can't be what its name says.
    """
    if guix or structured.VARIABLE not in derivation.env:
        return _from_variables(derivation, guix=guix)
    return _from_object(structured.parse(derivation.env[structured.VARIABLE]), derivation)


def variable(derivation: Derivation, attributes: Attributes, name: str) -> str:
    """A text attribute wherever it is; empty if it is nowhere."""
    value = derivation.env.get(name)
    if value is None and attributes.structured is not None:
        value = attributes.structured.get(name)
    return value if isinstance(value, str) else ""


# Variables: lists are words, truth is "1".


def _from_variables(derivation: Derivation, *, guix: bool) -> Attributes:
    env = derivation.env

    def words(name: str) -> tuple[str, ...]:
        return _words(env.get(name, ""))

    return Attributes(
        prefer_local=env.get("preferLocalBuild") == "1",
        allow_substitutes=env.get("allowSubstitutes", "1") == "1",
        impure_variables=words("impureEnvVars"),
        graphs=_pairs(env.get("exportReferencesGraph", "")),
        rules=_variable_rules(derivation, words),
        required_features=() if guix else words("requiredSystemFeatures"),
        files=() if guix else words("passAsFile"),
        no_sandbox=not guix and env.get("__noChroot") == "1",
        host_paths=() if guix else words("__impureHostDeps"),
    )


def _words(text: str) -> tuple[str, ...]:
    if not text:  # as nearly all are
        return ()
    return tuple(word for word in re.split("[ \\t\\n\\r]+", text) if word)


def _pairs(text: str) -> Mapping[str, tuple[str, ...]]:
    words = _words(text)
    if len(words) % 2:
        raise BadDerivationError(
            f"odd number of tokens in 'exportReferencesGraph': '{printable(text)}'",
            hint="write pairs: file name, store path",
        )
    return {name: (path,) for name, path in zip(words[::2], words[1::2], strict=True)}


def _variable_rules(
    derivation: Derivation, words: Callable[[str], tuple[str, ...]]
) -> Mapping[str, OutputRules]:
    """One set of rules for all outputs."""
    env = derivation.env
    rules = OutputRules(
        allowed_references=words("allowedReferences") if "allowedReferences" in env else None,
        allowed_requisites=words("allowedRequisites") if "allowedRequisites" in env else None,
        disallowed_references=words("disallowedReferences"),
        disallowed_requisites=words("disallowedRequisites"),
        ignore_self=True,
    )
    return {} if rules == OutputRules(ignore_self=True) else dict.fromkeys(derivation.outputs, rules)


# The object: lists are lists, truth is true.


def _from_object(values: Mapping[str, Any], derivation: Derivation) -> Attributes:
    top = _Object(values, "")
    checks = top.table("outputChecks")
    discard = top.table("unsafeDiscardReferences")
    return Attributes(
        structured=values,
        prefer_local=top.truth("preferLocalBuild"),
        allow_substitutes=top.truth("allowSubstitutes", default=True),
        required_features=top.words("requiredSystemFeatures") or (),
        impure_variables=top.words("impureEnvVars") or (),
        graphs={
            name: tuple(_flat(value, name)) for name, value in top.table("exportReferencesGraph").items()
        },
        rules={
            name: _object_rules(value, name) for name, value in checks.items() if name in derivation.outputs
        },
        discard_references=frozenset(
            name for name in discard if _Object(discard, "unsafeDiscardReferences.").truth(name)
        ),
        no_sandbox=top.truth("__noChroot"),
        host_paths=top.words("__impureHostDeps") or (),
    )


def _object_rules(value: object, output: str) -> OutputRules:
    if not isinstance(value, dict):
        raise _wrong(f"outputChecks.{output}", "an object", value)
    of = _Object(value, f"outputChecks.{output}.")
    return OutputRules(
        allowed_references=of.words("allowedReferences"),
        allowed_requisites=of.words("allowedRequisites"),
        disallowed_references=of.words("disallowedReferences") or (),
        disallowed_requisites=of.words("disallowedRequisites") or (),
        max_size=of.size("maxSize"),
        max_closure_size=of.size("maxClosureSize"),
        ignore_self=of.truth("ignoreSelfRefs"),
    )


def _flat(value: object, name: str) -> list[str]:
    """One path, or lists of them nested at will."""
    found: list[str] = []
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(reversed(item))
        elif isinstance(item, str):
            found.append(item)
        else:
            raise _wrong(f"exportReferencesGraph.{name}", "a path or a list of paths", item)
    return found


@dataclass(frozen=True, slots=True)
class _Object:
    """A JSON object being read; `prefix` goes before names in messages."""

    values: Mapping[str, Any]
    prefix: str

    def truth(self, name: str, *, default: bool = False) -> bool:
        value = self.values.get(name, default)
        if not isinstance(value, bool):
            raise _wrong(self.prefix + name, "true or false", value)
        return value

    def words(self, name: str) -> tuple[str, ...] | None:
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise _wrong(self.prefix + name, "a list of strings", value)
        return tuple(value)

    def table(self, name: str) -> Mapping[str, Any]:
        value = self.values.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise _wrong(self.prefix + name, "an object", value)
        return value

    def size(self, name: str) -> int | None:
        value = self.values.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise _wrong(self.prefix + name, "a number of bytes", value)
        return value


def _wrong(name: str, wanted: str, value: object) -> BadDerivationError:
    found = structured.kind(value)
    if isinstance(value, list):
        found = "an array with other things"
    return BadDerivationError(f"attribute '{printable(name)}' must be {wanted}, but it is {found}")
