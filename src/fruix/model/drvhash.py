"""Hashes modulo, and the output paths that follow from them.

Two derivations that differ only in how a fixed input is fetched have the same hash modulo, hence
the same outputs: a fixed-output derivation is hashed by its declared contents, any other by its
text with input paths replaced by their hashes.

    H(d) = SHA256("fixed:out:" METHODALGO ":" HASH16 ":" OUTPATH)     if d has one fixed output
           SHA256(text of d with inputs {HEX(H(input)): outputs})     otherwise
    Hmask(d): as the second, output paths and the variables named like outputs left out

Cost: each derivation is read and hashed once per `DerivationHasher`; iterative over the input
graph.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from fruix.dataclass import replace
from fruix.errors import BadDerivationError
from fruix.model import aterm
from fruix.model.contentaddress import path_for
from fruix.model.derivation import IMPURE, Derivation, DerivationOutput
from fruix.model.makepath import output_path
from fruix.model.storepath import DEFAULT_STORE, StorePath

MOST_KNOWN = 1 << 18

Reader = Callable[[StorePath], Derivation]


class DerivationHasher:
    """Computes and remembers hashes modulo; derivation files never change, so they stay right."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._known: dict[StorePath, bytes] = {}

    def forget_if_many(self) -> None:
        """Forget all hashes if there are more than `MOST_KNOWN`: some 300 bytes each.

        They are computed anew when they are needed.
        """
        if len(self._known) > MOST_KNOWN:
            self._known.clear()

    def hash_modulo(self, path: StorePath) -> bytes:
        """H of the derivation at `path` (32 bytes).

        Raises:
            BadDerivationError: an input is malformed, has an unknown path, or the inputs form a
                cycle.
        """
        known = self._known
        waiting: dict[StorePath, Derivation] = {}
        stack = [path]
        while stack:
            current = stack[-1]
            if current in known:
                stack.pop()
                continue
            seen = current in waiting
            derivation = waiting[current] if seen else self._read(current)
            waiting[current] = derivation
            missing = (
                [] if derivation.is_fixed else [drv for drv in derivation.input_drvs if drv not in known]
            )
            if missing and seen:
                raise BadDerivationError(f"the inputs of derivation '{current}' form a cycle")
            if missing:
                stack.extend(missing)
                continue
            known[current] = self._hash(derivation)
            del waiting[current]
            stack.pop()
        return known[path]

    def hash_masked(self, derivation: Derivation) -> bytes:
        """Hmask of a derivation (32 bytes): what its input-addressed output paths are made from."""
        text = aterm.render(derivation, inputs=self._inputs(derivation), mask_outputs=True)
        return hashlib.sha256(text).digest()

    def identity(self, derivation: Derivation) -> str:
        """The hexadecimal hash by which clients of Nix name a derivation in the ids of its outputs."""
        found = _fixed_hash(derivation) if derivation.is_fixed else self.hash_masked(derivation)
        return found.hex()

    def _hash(self, derivation: Derivation) -> bytes:
        if derivation.is_fixed:
            return _fixed_hash(derivation)
        return hashlib.sha256(aterm.render(derivation, inputs=self._inputs(derivation))).digest()

    def _inputs(self, derivation: Derivation) -> Mapping[str, list[str]]:
        """Hex hash → wanted outputs; inputs with equal hashes are one."""
        merged: dict[str, set[str]] = {}
        for path, names in derivation.input_drvs.items():
            if not names and path in derivation.dynamic:
                continue  # outputs of outputs don't count; their placeholders do
            merged.setdefault(self.hash_modulo(path).hex(), set()).update(names)
        return {key: sorted(names) for key, names in merged.items()}


def _fixed_hash(derivation: Derivation) -> bytes:
    output = derivation.outputs["out"]
    digest = _base16(output)
    return hashlib.sha256(
        f"fixed:out:{output.method_algorithm}:{digest}:{output.path or ''}".encode()
    ).digest()


def _base16(output: DerivationOutput) -> str:
    address = output.content_address
    return address.hash.base16 if address else ""


def computed_outputs(
    derivation: Derivation, hasher: DerivationHasher, directory: str = DEFAULT_STORE
) -> dict[str, StorePath]:
    """The output paths that follow from a derivation's contents."""
    if derivation.is_fixed:
        address = derivation.outputs["out"].content_address
        assert address is not None
        return {"out": path_for(address, derivation.name, directory)}
    digest = hasher.hash_masked(derivation)
    return {name: output_path(derivation.name, name, digest, directory) for name in derivation.outputs}


def fill_outputs(
    derivation: Derivation, hasher: DerivationHasher, directory: str = DEFAULT_STORE
) -> Derivation:
    """A client's last step.

    Put computed output paths into the outputs and into the variables named like them.
    """
    # The variables must be there, empty, when the hash is taken: a daemon will hash the finished
    # text with them masked.
    blank = replace(derivation, env={**derivation.env, **dict.fromkeys(derivation.outputs, "")})
    paths = computed_outputs(blank, hasher, directory)
    outputs = {name: replace(output, path=paths[name]) for name, output in derivation.outputs.items()}
    env = {**derivation.env, **{name: path.text for name, path in paths.items()}}
    return replace(derivation, outputs=outputs, env=env)


def check_outputs(derivation: Derivation, path: StorePath, hasher: DerivationHasher) -> None:
    """A daemon's check of a received derivation: its output paths are what its contents say.

    Args:
        derivation: what was received.
        path: its store path.
        hasher: knows how to read its inputs.

    Outputs without a path (content-addressed, deferred: experimental kinds) are left alone; they
    can't be built.

    Raises:
        BadDerivationError: a path or variable is wrong, or output kinds are mixed.
    """
    fixed = [name for name, output in derivation.outputs.items() if output.is_fixed]
    unknown = [name for name, output in derivation.outputs.items() if output.path is None]
    if fixed and len(derivation.outputs) > 1:
        raise BadDerivationError(
            f"derivation '{derivation.name}' has a fixed output: only one fixed output is allowed for now"
        )
    if fixed and fixed != ["out"]:
        raise BadDerivationError(f"derivation '{derivation.name}': single fixed output must be named \"out\"")
    impure = [name for name, output in derivation.outputs.items() if output.hash == IMPURE]
    if unknown or impure:
        if any(len(names) not in {0, len(derivation.outputs)} for names in (unknown, impure)):
            raise BadDerivationError(f"derivation '{derivation.name}': can't mix derivation output types")
        if impure and not unknown:
            raise BadDerivationError(
                f"derivation '{derivation.name}': impure derivation output should not specify output path"
            )
        return
    for name, expected in computed_outputs(derivation, hasher, path.directory).items():
        _check(derivation, name, expected)


def _check(derivation: Derivation, name: str, expected: StorePath) -> None:
    actual = derivation.outputs[name].path
    if actual != expected:
        raise BadDerivationError(
            f"derivation '{derivation.name}' has incorrect output '{actual}', should be '{expected}'"
        )
    variable = derivation.env.get(name)
    if variable is None:
        raise BadDerivationError(
            f"derivation '{derivation.name}' has missing environment variable '{name}', "
            f"should be '{expected}' but is not present"
        )
    if variable != expected.text:
        raise BadDerivationError(
            f"derivation '{derivation.name}' has incorrect environment variable '{name}', "
            f"should be '{expected}' but is actually '{variable}'"
        )
