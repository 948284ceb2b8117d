"""Data classes do what those of the standard library do, and compile nothing before it is needed."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, ClassVar, Generic, TypeVar

import pytest

from fruix import dataclass as lazy

T = TypeVar("T")
MAKERS = (dataclasses, lazy)


def classes(maker: ModuleType) -> dict[str, Any]:
    """One class of each kind that the project has, made by a module's `dataclass`."""
    dataclass, field = maker.dataclass, maker.field

    @dataclass(frozen=True, slots=True, order=True)
    class Point:
        x: int
        y: int = 2
        names: tuple[str, ...] = field(default=(), compare=False)
        KIND: ClassVar[str] = "point"

        @property
        def both(self) -> tuple[int, int]:
            return self.x, self.y

    @dataclass(slots=True)
    class Changing:
        name: str
        items: list[Any] = field(default_factory=list)
        secret: str = field(default="s", repr=False)
        made: str = field(init=False)
        counted: dict[str, int] = field(default_factory=dict, init=False)

        def __post_init__(self) -> None:
            self.made = self.name.upper()

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Base:
        first: Any
        second: Any = None

    @dataclass(frozen=True, slots=True)
    class Derived(Base):
        third: Any = 3

        def __hash__(self) -> int:
            return 7

    @dataclass(frozen=True, slots=True)
    class Box(Generic[T]):
        held: T

    @dataclass(eq=False, slots=True)
    class Itself:
        name: str

    @dataclass(frozen=True)
    class Open:
        name: str = "n"

    @dataclass(frozen=True, slots=True)
    class Empty:
        pass

    made = (Point, Changing, Base, Derived, Box, Itself, Open, Empty)
    return {kind.__name__: kind for kind in made}


def outcome(ask: Callable[[dict[str, Any]], Any], maker: ModuleType) -> Any:
    """What an expression gives, or the class of its error that matters to a caller."""
    try:
        return ask(classes(maker))
    except (TypeError, AttributeError) as error:
        return TypeError if isinstance(error, TypeError) else AttributeError


def _set(value: Any, name: str, to: Any) -> Any:
    setattr(value, name, to)
    return getattr(value, name)


EXPRESSIONS: tuple[tuple[str, Callable[[dict[str, Any]], Any]], ...] = (
    ("repr", lambda of: repr(of["Point"](1))),
    ("repr without a secret", lambda of: repr(of["Changing"]("a"))),
    ("by name", lambda of: repr(of["Point"](y=5, x=4))),
    ("too few", lambda of: of["Point"]()),
    ("too many", lambda of: of["Point"](1, 2, (), 4)),
    ("unknown", lambda of: of["Point"](1, z=1)),
    ("only by name", lambda of: of["Base"](1)),
    ("derived", lambda of: repr(of["Derived"](4, first=1))),
    ("hash of its own", lambda of: hash(of["Derived"](first=1))),
    ("equal", lambda of: (of["Point"](1) == of["Point"](1, 2, ("b",)), of["Point"](1) == of["Point"](2))),
    ("other class", lambda of: of["Base"](first=1) == of["Derived"](first=1)),
    ("hash", lambda of: hash(of["Point"](1)) == hash(of["Point"](1, 2, ("b",)))),
    ("hash of the empty", lambda of: {of["Empty"](): 1}[of["Empty"]()]),
    ("no hash", lambda of: hash(of["Changing"]("a"))),
    (
        "identity",
        lambda of: (of["Itself"]("a") == of["Itself"]("a"), isinstance(hash(of["Itself"]("a")), int)),
    ),
    ("order", lambda of: min([of["Point"](2), of["Point"](1, 3), of["Point"](1)]).both),
    ("no order", lambda of: of["Box"](1) < of["Box"](2)),
    ("all orders", lambda of: [of["Point"](1) <= of["Point"](1), of["Point"](1) >= of["Point"](2)]),
    ("frozen", lambda of: _set(of["Point"](1), "x", 2)),
    ("frozen, open", lambda of: _set(of["Open"](), "name", "m")),
    ("no such slot", lambda of: _set(of["Changing"]("a"), "other", 1)),
    ("changing", lambda of: _set(of["Changing"]("a"), "name", "b")),
    ("made", lambda of: (of["Changing"]("a").made, of["Changing"]("a").counted)),
    ("not shared", lambda of: of["Changing"]("a").items is of["Changing"]("a").items),
    ("not for the constructor", lambda of: of["Changing"]("a", made="b")),
    ("slots", lambda of: hasattr(of["Point"](1), "__dict__")),
    ("match", lambda of: [kind.__match_args__ for kind in of.values()]),
    ("class attribute", lambda of: of["Point"].KIND),
    ("names", lambda of: [(kind.__qualname__, kind.__init__.__qualname__) for kind in of.values()]),
    ("generic", lambda of: repr(of["Box"](3))),
    ("copied", lambda of: copy.deepcopy(of["Point"](1, names=("a",))) == of["Point"](1)),
    ("stated", lambda of: of["Point"](1).__reduce_ex__(2)[2]),
)


@pytest.mark.parametrize(("what", "ask"), EXPRESSIONS, ids=[what for what, _ in EXPRESSIONS])
def test_like_the_standard_librarys(what: str, ask: Callable[[dict[str, Any]], Any]) -> None:
    expected, found = (outcome(ask, maker) for maker in MAKERS)
    assert found == expected


@pytest.mark.parametrize("functions", MAKERS, ids=["standard", "own"])
def test_functions_on_data_classes(functions: ModuleType) -> None:
    """The standard library's work as well: tests use them."""
    of = classes(lazy)
    point, changing = of["Point"](1, names=("a",)), of["Changing"]("a", [of["Point"](1)])
    assert [part.name for part in functions.fields(point)] == ["x", "y", "names"]
    assert [part.name for part in functions.fields(of["Changing"]) if part.init] == [
        "name",
        "items",
        "secret",
    ]
    assert functions.replace(point, y=3) == of["Point"](1, 3)
    assert functions.replace(point, y=3).names == ("a",)
    assert functions.asdict(changing)["items"] == [{"x": 1, "y": 2, "names": ()}]
    assert functions.astuple(of["Box"]({"a": of["Box"]((1,))})) == ({"a": ((1,),)},)
    assert dataclasses.is_dataclass(point)


@lazy.dataclass(frozen=True, slots=True)
class Kept:
    """A class that `pickle` finds by its name."""

    a: int
    b: str = "b"


def test_pickled() -> None:
    assert pickle.loads(pickle.dumps(Kept(1))) == Kept(1, "b")


def test_a_method_calls_that_of_its_base() -> None:
    @lazy.dataclass(slots=True)
    class Base:
        a: int

        def doubled(self) -> int:
            return 2 * self.a

    @lazy.dataclass(slots=True)
    class Derived(Base):
        b: int

        def doubled(self) -> int:
            return super().doubled() + self.b

    assert Derived(2, 1).doubled() == 5


def test_methods_are_compiled_once_and_when_they_are_called() -> None:
    point = classes(lazy)["Point"]
    first = point.__init__
    assert first.__code__.co_filename == lazy.__file__
    assert point(1) == point(1)  # and the first call works
    assert inspect.signature(point.__init__).parameters.keys() == {"self", "x", "y", "names"}
    compiled = point.__init__
    value = object.__new__(point)
    first(value, 4)  # as a decorator that kept the first one does
    assert value.x == 4
    assert point.__init__ is compiled
    assert point.__lt__.__code__.co_filename == lazy.__file__  # not yet


def test_it_does_not_load_what_it_stands_for() -> None:
    program = "import sys, fruix.dataclass; print(sorted({'dataclasses', 'inspect'} & {*sys.modules}))"
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert said.stdout == "[]\n"


@pytest.mark.parametrize("maker", MAKERS)
def test_changed_values_whatever_the_fields_are_called(maker: ModuleType) -> None:
    @maker.dataclass(frozen=True, slots=True)
    class Named:
        value: int
        replace: int
        MISSING: int = 3

    @maker.dataclass(frozen=True, slots=True)
    class Empty:
        pass

    named: Any = Named
    assert maker.replace(named(1, 2), value=4) == named(4, 2)
    assert maker.replace(Empty()) == Empty()
    with pytest.raises(TypeError, match="other"):
        maker.replace(named(1, 2), other=4)
