"""Packages: immutable records, checked when they are made, changed by `inherit`.

hello = Package(name="hello", version="2.12.3", source=Origin(urls=(…,), sha256="…"))
quiet = hello.inherit(arguments={"configure_flags": ("--disable-nls",)})
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from fruix.dataclass import dataclass, field, fields, replace
from fruix.model.storepath import MAX_NAME_SIZE
from fruix.packages import check
from fruix.packages.build_systems import BUILD_SYSTEMS, BuildSystem, Recipe, make_recipe
from fruix.packages.build_systems.shared_phases import UNPACK
from fruix.packages.fields import OutputNames, Saying, StoreName, Version, definition
from fruix.packages.phases import Phases
from fruix.packages.place import Place, definition_place, located
from fruix.packages.roots import is_for
from fruix.packages.sources import Git, Local, Origin
from fruix.packages.variables import AttributeName, VariableValue

__all__ = ["Git", "Local", "Origin", "Package"]


@definition
@dataclass(frozen=True, slots=True, repr=False)
class Package:
    """A package: what it is, where its source comes from, and how it is built.

    Attributes:
        build_system: a name of `build_systems.BUILD_SYSTEMS`; `arguments` are its arguments.
        inputs: packages whose headers, libraries and programs the build uses and the result may
            refer to.
        propagated_inputs: inputs that whoever has this package among its inputs gets too, such as a
            library whose headers its own include.
        native_inputs: packages whose programs only the build uses.
        root: the root in which it is built (`packages.roots`); if empty, and there is no view
            either, the build system's, where that is for the system.
        host_view: the view of host tools in which it is built: everywhere, or, with a root, where
            that is not for the system. If empty, the build system's, where there is no root.
        untested: what upstream tests and this package does not, with the reason; the key `*` stands
            for the whole suite.
        unreproducible: why two builds may differ; empty for a package that builds twice to the same
            bits.
        declares: attributes of its derivation (docs/derivations.md), such as
            `{"requiredSystemFeatures": "kvm"}`.
        location: file and line of the definition; no part of the value.
        recipe: what the build system makes of it; follows from the rest.
    """

    name: StoreName
    version: Version
    build_system: Annotated[str, check.one_of(BUILD_SYSTEMS, "the name of a build system")] = "gnu"
    source: Origin | Local | Git | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Package, ...] = ()
    native_inputs: tuple[Package, ...] = ()
    propagated_inputs: tuple[Package, ...] = ()
    outputs: OutputNames = ("out",)
    synopsis: str = ""
    description: str = ""
    license: str = ""
    home_page: str = ""
    root: str = ""
    host_view: str = ""
    untested: Mapping[Saying, Saying] = field(default_factory=dict)
    unreproducible: str = ""
    declares: Mapping[AttributeName, VariableValue] = field(default_factory=dict)
    location: Place = field(default=Place("", 0), init=False, compare=False)
    recipe: Recipe = field(default=Recipe(Phases()), init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "location", definition_place())
        check.read_fields(self)
        object.__setattr__(self, "recipe", make_recipe(self.build_system, self.arguments, self.outputs))
        ends = (".drv", *(f"-{output}" for output in self.outputs))
        if len(self.full_name) + max(map(len, ends)) > MAX_NAME_SIZE:
            most = f"with version and output at most {MAX_NAME_SIZE} characters long"
            raise check.wrong("field 'name'", f"short enough for the store, {most}", self.name)
        if self.source is None and ("unpack", UNPACK) in self.recipe.phases.items:
            wanted = "an Origin, a Local or a Git, since the phase unpack unpacks it"
            raise check.wrong("field 'source'", wanted, self.source)

    @property
    def full_name(self) -> str:
        """Name and version, as in the store."""
        return f"{self.name}-{self.version}" if self.version else self.name

    @property
    def system(self) -> BuildSystem:
        """The build system of that name."""
        return BUILD_SYSTEMS[self.build_system]

    def root_on(self, system: str) -> str:
        """The name of the root in which it is built on that system; empty: with a host view."""
        if self.root and not self.host_view:
            return self.root  # or an error, if it is not for this system
        root = self.root or ("" if self.host_view else self.system.root)
        return root if is_for(root, system) else ""

    def inherit(self, **changes: Any) -> Self:
        """This package with some fields changed and the rest kept.

        Raises:
            DefinitionError: no such field, or a value that does not fit.
        """
        with located(definition_place(), self.name):
            known = [item.name for item in fields(self) if item.init]
            check.check_names(changes, known, "Package has no field")
        return replace(self, **changes)

    def __hash__(self) -> int:
        """A hash of name and version only; equality compares everything."""
        return hash((self.name, self.version))

    def __repr__(self) -> str:
        """A short text; written out, a graph of packages would be as long as all ways through it."""
        return f"<Package {self.full_name}>"
