"""Packages and origins: immutable records, checked when they are made, changed by `inherit`.

hello = Package(name="hello", version="2.12.3", source=Origin(urls=(…,), sha256="…"), build_system="gnu", synopsis="…")
quiet = hello.inherit(arguments={"configure_flags": ("--disable-nls",)})
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import wraps
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import unquote, urlsplit

from fruix.errors import FormatError, UsageError
from fruix.model.hashes import Hash
from fruix.model.storepath import MAX_NAME_SIZE, check_name, legal_name
from fruix.packages import check
from fruix.packages.build_systems import BUILD_SYSTEMS, BuildSystem, Recipe, make_recipe
from fruix.packages.build_systems.unpack import UNPACK
from fruix.packages.check import Form, Rule
from fruix.packages.phases import Phases
from fruix.packages.place import Place, definition_place, located
from fruix.packages.variables import AttributeName, VariableName, VariableValue
from fruix.packages.wording import shown

T = TypeVar("T")


def _is_store_name(name: str) -> bool:
    try:
        check_name(name)
    except FormatError:
        return False
    return not name.endswith(".drv")


def _is_hash(text: str) -> bool:
    try:
        Hash.parse(text, "sha256")
    except FormatError:
        return False
    return True


def _is_url(text: str) -> bool:
    scheme, colon, rest = text.partition("://")
    return bool(scheme and colon and rest.strip("/")) and text.isprintable() and " " not in text


def _file_name(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


StoreName = Annotated[
    str,
    Rule(
        f"a name of 1 to {MAX_NAME_SIZE} letters, digits and + - . _ ? =, not beginning with a dot nor ending in .drv",
        _is_store_name,
        "names",
    ),
]
Version = Annotated[
    str,
    Rule(
        "a version of letters, digits and + - . _ ? =, or empty",
        lambda text: not text or _is_store_name(f"x-{text}"),
    ),
]
Url = Annotated[str, Rule("a URL such as https://…", _is_url, "URLs")]
Sha256 = Annotated[
    str,
    Rule(
        "a SHA-256",
        _is_hash,
        hint="64 hexadecimal digits, 52 characters of nix32, or sha256-…; not known yet: 64 zeros, then the build says it",
    ),
]
FileName = Annotated[
    str,
    Form("the name of a file", _file_name, "names of files"),
    Rule("the name of a file", bool, "names of files"),
]
Saying = Annotated[str, Rule("a text that says something", lambda text: text.strip() != "", "texts")]
OutputNames = Annotated[
    tuple[VariableName, ...],
    Rule(
        "a list of names with 'out' among them",
        lambda names: "out" in names,
        hint='the output that everybody gets is called "out", such as in ("out", "lib")',
    ),
    Rule("a list of different names", lambda names: len(set(names)) == len(names)),
]


def definition(kind: type[T]) -> type[T]:
    """A class decorator for records: what is wrong with one, names of fields included, is told with the place of its definition."""
    made = kind.__init__
    signature = inspect.signature(made)
    known = [name for name in signature.parameters if name != "self"]

    @wraps(made)
    def init(self: T, *values: Any, **named: Any) -> None:
        with located(definition_place(), _subject(kind, values, named)):
            check.check_names(named, known, f"{kind.__name__} has no field")
            try:
                signature.bind(self, *values, **named)
            except TypeError as error:
                raise UsageError(f"{kind.__name__}: {error}", hint=f"fields: {', '.join(known)}") from None
            made(self, *values, **named)

    kind.__init__ = init  # type: ignore[assignment]
    return kind


def _subject(kind: type, values: tuple[Any, ...], named: Mapping[str, Any]) -> str:
    """What a record is called in messages: its name, if it has a fit one."""
    name = named.get("name", values[0] if values else "")
    return name if isinstance(name, str) and _is_store_name(name) else kind.__name__


@definition
@dataclass(frozen=True, slots=True)
class Origin:
    """Where a source comes from: a file with a known hash.

    Attributes:
        urls: tried in order; `mirror://gnu/…` and `mirror://debian/…` stand for lists of mirrors.
        sha256: of the file's bytes, in any text form.
        patches: local files, applied in order with `patch -p1`; relative to the file with the definition, kept as absolute names.
        file_name: name in the store; default: the first URL's last part, without characters that no name may have.
        fuzz: how many lines at the ends of a patch's context may differ from the source's.
        location: file and line of the definition; no part of the value.
    """

    urls: Annotated[tuple[Url, ...], Rule("a list of at least one URL", bool)]
    sha256: Sha256
    patches: tuple[FileName, ...] = ()
    file_name: str = ""
    fuzz: Annotated[int, Rule("a number of lines from 0 to 9", range(10).__contains__)] = field(
        default=0, kw_only=True
    )
    location: Place = field(default=Place("", 0), init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "location", definition_place())
        check.read_fields(self)
        if not _is_store_name(self.store_name):
            hint = f"the first URL ends in {shown(_end_of(self.urls[0]))}, of which nothing can be left; such as file_name='hello-1.0.tar.gz'"
            raise check.wrong("field 'file_name'", "a name for the store", self.file_name, hint)
        object.__setattr__(self, "patches", tuple(_local_files(self.patches, self.location)))

    @property
    def hash(self) -> Hash:
        """The declared hash."""
        return Hash.parse(self.sha256, "sha256")

    @property
    def store_name(self) -> str:
        """The file's name in the store."""
        return self.file_name or legal_name(_end_of(self.urls[0]))

    @property
    def file_names(self) -> tuple[str, ...]:
        """Names under which somebody may have downloaded it already."""
        ends = [end for url in self.urls for end in (url.rpartition("/")[2], _end_of(url))]
        return tuple(dict.fromkeys((self.store_name, *ends)))


def _end_of(url: str) -> str:
    """The last part of a URL's path, `%20` and the like put in, without query and fragment."""
    return unquote(urlsplit(url).path.rpartition("/")[2])


def _local_files(names: Iterable[str], place: Place) -> Iterator[str]:
    """Absolute names of files that are named beside a definition."""
    for number, name in enumerate(names, 1):
        path = os.path.join(place.directory, name)
        if not os.path.isfile(path):
            hint = f"there is no file {path}: names are relative to the file with the definition"
            raise check.wrong(f"item {number} of field 'patches'", "a file", name, hint)
        yield path


@definition
@dataclass(frozen=True, slots=True, repr=False)
class Package:
    """One package.

    Attributes:
        build_system: a name of `build_systems.BUILD_SYSTEMS`; `arguments` are its arguments.
        inputs: packages whose headers, libraries and programs the build uses and the result may refer to.
        propagated_inputs: inputs that whoever has this package among its inputs gets too, such as a library whose headers its own include.
        native_inputs: packages whose programs only the build uses.
        host_view: the view of host tools in which it is built; if empty, the build system's.
        untested: what upstream tests and this package does not, with the reason; the key `*` stands for the whole suite.
        unreproducible: why two builds may differ; empty for a package that builds twice to the same bits.
        declares: attributes of its derivation (docs/derivations.md), such as `{"requiredSystemFeatures": "kvm"}`.
        location: file and line of the definition; no part of the value.
        recipe: what the build system makes of it; follows from the rest.
    """

    name: StoreName
    version: Version
    build_system: Annotated[str, check.one_of(BUILD_SYSTEMS, "the name of a build system")] = "gnu"
    source: Origin | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Package, ...] = ()
    native_inputs: tuple[Package, ...] = ()
    propagated_inputs: tuple[Package, ...] = ()
    outputs: OutputNames = ("out",)
    synopsis: str = ""
    description: str = ""
    license: str = ""
    home_page: str = ""
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
        for name, wanted, holds in _TOGETHER:
            if not holds(self):
                raise check.wrong(f"field '{name}'", wanted, getattr(self, name))

    @property
    def full_name(self) -> str:
        """Name and version, as in the store."""
        return f"{self.name}-{self.version}" if self.version else self.name

    @property
    def system(self) -> BuildSystem:
        """Its build system."""
        return BUILD_SYSTEMS[self.build_system]

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
        """By identity of name and version; equality compares everything."""
        return hash((self.name, self.version))

    def __repr__(self) -> str:
        """Short: written out, a graph of packages would be as long as all ways through it."""
        return f"<Package {self.full_name}>"


# Rules that take more than one field: the field that is named, what it should be, whether that holds.
_TOGETHER: tuple[tuple[str, str, Callable[[Package], bool]], ...] = (
    (
        "name",
        f"short enough for the store, with version and output at most {MAX_NAME_SIZE} characters long",
        lambda package: (
            max(len(package.full_name) + len(end) for end in (".drv", *map("-{}".format, package.outputs)))
            <= MAX_NAME_SIZE
        ),
    ),
    (
        "source",
        "an Origin, since the phase unpack unpacks it",
        lambda package: package.source is not None or ("unpack", UNPACK) not in package.recipe.phases.items,
    ),
)
