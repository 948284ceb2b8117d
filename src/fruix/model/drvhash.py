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

from collections.abc import Callable, Mapping
from typing import NamedTuple

from fruix.errors import BadDerivationError
from fruix.model.aterm.printing import Printer, written_inputs
from fruix.model.contentaddress import path_for
from fruix.model.derivation import IMPURE, Derivation, DerivationOutput
from fruix.model.hashes import sha256
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

    def know(self, path: StorePath, digest: bytes) -> None:
        """Remember H of the derivation at `path`, which the caller has computed (`Written`)."""
        self._known[path] = digest

    def hash_masked(self, derivation: Derivation) -> bytes:
        """Hmask of a derivation (32 bytes): what its input-addressed output paths are made from."""
        return _masked(Printer(derivation), derivation, self.inputs(derivation))

    def hashes(self, derivation: Derivation) -> tuple[bytes, bytes]:
        """Hmask, and H of one without fixed output: both for little more than one costs."""
        printer, inputs = Printer(derivation), self.inputs(derivation)
        whole = sha256(printer.around().text(inputs)).digest()
        return _masked(printer, derivation, inputs), whole

    def identity(self, derivation: Derivation) -> str:
        """The hexadecimal hash by which clients of Nix name a derivation in the ids of its outputs."""
        found = _fixed_hash(derivation) if derivation.is_fixed else self.hash_masked(derivation)
        return found.hex()

    def _hash(self, derivation: Derivation) -> bytes:
        if derivation.is_fixed:
            return _fixed_hash(derivation)
        return sha256(Printer(derivation).around().text(self.inputs(derivation))).digest()

    def inputs(self, derivation: Derivation) -> bytes:
        """The list of hex hashes and wanted outputs; inputs with equal hashes are one."""
        merged: dict[str, set[str]] = {}
        for path, names in derivation.input_drvs.items():
            if not names and path in derivation.dynamic:
                continue  # outputs of outputs don't count; their placeholders do
            digest = self._known.get(path) or self.hash_modulo(path)
            merged.setdefault(digest.hex(), set()).update(names)
        return written_inputs({key: [*names] for key, names in merged.items()})


def _masked(printer: Printer, derivation: Derivation, inputs: bytes) -> bytes:
    return sha256(printer.around(dict.fromkeys(derivation.outputs, "")).text(inputs)).digest()


def _fixed_hash(derivation: Derivation) -> bytes:
    output = derivation.outputs["out"]
    digest = _base16(output)
    return sha256(f"fixed:out:{output.method_algorithm}:{digest}:{output.path or ''}".encode()).digest()


def _base16(output: DerivationOutput) -> str:
    address = output.content_address
    return address.hash.base16 if address else ""


def _fixed_outputs(derivation: Derivation, directory: str) -> dict[str, StorePath]:
    address = derivation.outputs["out"].content_address
    assert address is not None
    return {"out": path_for(address, derivation.name, directory)}


def _named_outputs(derivation: Derivation, digest: bytes, directory: str) -> dict[str, StorePath]:
    return {name: output_path(derivation.name, name, digest, directory) for name in derivation.outputs}


class Written(NamedTuple):
    """A derivation with its text form and its H (32 bytes)."""

    derivation: Derivation
    text: bytes
    hash_modulo: bytes


def write_filled(plain: Derivation, hasher: DerivationHasher, directory: str = DEFAULT_STORE) -> Written:
    """A client's last step.

    Put computed output paths into the outputs and into the variables named like them, and write it.
    """
    # The variables must be there, empty, when the hash is taken: a daemon will hash the finished
    # text with them masked.
    printer = Printer(_with(plain, plain.outputs, dict.fromkeys(plain.outputs, "")))
    inputs = b"" if plain.is_fixed else hasher.inputs(plain)
    if plain.is_fixed:
        paths = _fixed_outputs(plain, directory)
    else:
        paths = _named_outputs(plain, _masked(printer, plain, inputs), directory)
    texts = {name: path.text for name, path in paths.items()}
    outputs = {
        name: DerivationOutput(paths[name], output.method_algorithm, output.hash)
        for name, output in plain.outputs.items()
    }
    derivation, around = _with(plain, outputs, texts), printer.around(texts)
    digest = _fixed_hash(derivation) if plain.is_fixed else sha256(around.text(inputs)).digest()
    return Written(derivation, around.text(printer.inputs()), digest)


def _with(plain: Derivation, outputs: Mapping[str, DerivationOutput], paths: Mapping[str, str]) -> Derivation:
    """With other outputs, and paths of outputs in the variables named like them."""
    return Derivation(
        plain.name,
        outputs,
        plain.input_drvs,
        plain.input_srcs,
        plain.system,
        plain.builder,
        plain.args,
        {**plain.env, **paths},
        plain.dynamic,
    )


def fill_outputs(plain: Derivation, hasher: DerivationHasher, directory: str = DEFAULT_STORE) -> Derivation:
    """The same, for who needs the derivation alone."""
    return write_filled(plain, hasher, directory).derivation


def check_outputs(derivation: Derivation, path: StorePath, hasher: DerivationHasher) -> None:
    """A daemon's check of a received derivation: its output paths are what its contents say.

    Args:
        derivation: what was received.
        path: its store path.
        hasher: knows how to read its inputs.

    Its H is known to the hasher then: what is written for one hash serves the other. Outputs without
    a path (content-addressed, deferred: experimental kinds) are left alone; they can't be built.

    Raises:
        BadDerivationError: a path or variable is wrong, or output kinds are mixed.
    """
    usual = all(output.path is not None and not output.hash for output in derivation.outputs.values())
    if not usual and not _has_paths(derivation):
        return
    if derivation.is_fixed:
        _check_paths(derivation, _fixed_outputs(derivation, path.directory))
        return
    masked, whole = hasher.hashes(derivation)
    _check_paths(derivation, _named_outputs(derivation, masked, path.directory))
    hasher.know(path, whole)


def _has_paths(derivation: Derivation) -> bool:
    """Whether all output paths are known.

    Raises:
        BadDerivationError: output kinds are mixed.
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
        return False
    return True


def _check_paths(derivation: Derivation, paths: Mapping[str, StorePath]) -> None:
    for name, expected in paths.items():
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
