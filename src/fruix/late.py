"""What is made when it is first used, so that a start doesn't wait for what it may never need.

Names of packages that import their module then, modules of the standard library, and regular expressions that
are compiled then: one takes 50 to 500 µs, which was a tenth of a daemon's start.

What a long-lived process loads late has to fit what it has loaded already: `guarded` has it refuse that when
the program was replaced meanwhile.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what `typing` has, without loading it
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Collection, Mapping
    from typing import Any, AnyStr


_look: Callable[[], None] | None = None


def guarded(look: Callable[[], None]) -> None:
    """Have `look` called before names are imported late from now on; it may raise what keeps them from it."""
    global _look  # noqa: PLW0603
    _look = look


def late_names(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` (PEP 562) of a package.

    Args:
        package: its `__name__`.
        modules: name → its module in that package; `MODULE:NAME` where it is called otherwise there.
    """

    def find(name: str) -> Any:
        import sys  # noqa: PLC0415 - for those alone who need it

        if name not in modules:
            raise _unknown(package, name)
        module, _, there = modules[name].partition(":")
        found = getattr(_imported(f"{package}.{module}"), there or name)
        setattr(sys.modules[package], name, found)
        return found

    return find


def late_modules(package: str, names: Collection[str]) -> Callable[[str], Any]:
    """Return the same of a package whose modules of these names are imported when they are first used."""

    def find(name: str) -> Any:
        if name not in names:
            raise _unknown(package, name)
        return _imported(f"{package}.{name}")  # which makes it an attribute of the package

    return find


def _imported(module: str) -> Any:
    if _look is not None:
        _look()
    return _import_module(module)


def _import_module(name: str) -> Any:
    """As `importlib` has it, which would have to be loaded for that."""
    import sys  # noqa: PLC0415 - for those alone who need it

    __import__(name)
    return sys.modules[name]


def _unknown(package: str, name: str) -> AttributeError:
    return AttributeError(f"module {package!r} has no attribute {name!r}")


if TYPE_CHECKING:

    def late_pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
        """Return what `re.compile` returns."""

else:

    class late_pattern:  # noqa: N801 - called like `re.compile`
        """A pattern, whose methods are those of `re.Pattern` from their first use on."""

        def __init__(self, text: str | bytes, flags: int = 0) -> None:
            self.pattern = text
            self._flags = flags

        def __getattr__(self, name: str) -> Any:
            """Compile it (`re` keeps what it has compiled) and keep the method."""
            import re  # noqa: PLC0415

            found = getattr(re.compile(self.pattern, self._flags), name)
            setattr(self, name, found)
            return found


class LateObject:
    """What is made when one of its attributes is first asked for, and stands for it from then on."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Any:
        """Find it in the real one, and keep it."""
        made = self._make()
        self._make = lambda: made
        found = getattr(made, name)
        setattr(self, name, found)
        return found


def late_import(name: str) -> Any:
    """Return what stands for a module of the standard library, which is imported when it is used.

    For type checkers the module is imported as ever, `if TYPE_CHECKING`.
    """
    return LateObject(lambda: _import_module(name))
