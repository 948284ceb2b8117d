"""A store of derivations that are alike but for something, and what is told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fruix.model import aterm
from fruix.model.derivation import Derivation, DerivationOutput
from fruix.model.drvdiff import Compared, compare_closures
from fruix.model.drvhash import DerivationHasher, fill_outputs
from fruix.model.hashes import Hash
from fruix.model.hostview import HostView
from fruix.model.makepath import text_path
from fruix.model.storepath import StorePath

STORE = "/frx/store"


@dataclass
class World:
    """A store that holds what is put into it."""

    derivations: dict[StorePath, Derivation] = field(default_factory=dict)
    texts: dict[StorePath, str] = field(default_factory=dict)
    views: dict[str, HostView] = field(default_factory=dict)

    def file(self, name: str, text: str) -> StorePath:
        path = text_path(name, Hash.of("sha256", text.encode()), ())
        self.texts[path] = text
        return path

    def drv(
        self,
        name: str,
        inputs: Sequence[StorePath] = (),
        sources: Sequence[StorePath] = (),
        *,
        args: Sequence[str] = (),
        outputs: Mapping[str, DerivationOutput] | None = None,
        **env: str,
    ) -> StorePath:
        """As lowering does: paths of inputs in the environment, the script as a source and an argument."""
        found = [str(self.derivations[path].output_paths["out"]) for path in inputs]
        paths = {"PATH": ":".join([*(f"{path}/bin" for path in found), "/bin"])}
        if found:
            paths["CPATH"] = ":".join(f"{path}/include" for path in found)
        plain = Derivation(
            name,
            outputs or {"out": DerivationOutput(None)},
            dict.fromkeys(sorted(inputs), ("out",)),
            tuple(sorted(sources)),
            "x86_64-linux",
            "/bin/sh",
            tuple(args) or tuple(map(str, sources)),
            {**paths, **env},
        )
        made = fill_outputs(plain, DerivationHasher(self.derivations.__getitem__), STORE)
        path = text_path(f"{name}.drv", Hash.of("sha256", aterm.render(made)), made.references)
        self.derivations[path] = made
        return path

    def derivation(self, path: StorePath) -> Derivation:
        return self.derivations[path]

    def text(self, path: StorePath) -> str | None:
        return self.texts.get(path)

    def view(self, fingerprint: str) -> HostView | None:
        return self.views.get(fingerprint)


def compared(world: World, pair: Sequence[StorePath]) -> list[Compared]:
    old, new = pair
    return list(compare_closures(old, new, world))


def told(found: Sequence[Compared]) -> str:
    """As golden text, without hashes."""
    lines = []
    for pair in found:
        lines.append(f"{pair.old.name} -> {pair.new.name}")
        for change in pair.changes:
            lines += [f"  {change.what}", *(f"    {line}" for line in change.lines)]
        lines += [f"  the input {new.name} differs" for _, new in pair.inputs]
    return "\n".join(lines) + "\n"
