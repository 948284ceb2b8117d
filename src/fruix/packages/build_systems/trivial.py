"""A script of the package's own as the only phase. Arguments: `script`, `environment`."""

from __future__ import annotations

from collections.abc import Sequence

from fruix.dataclass import dataclass
from fruix.packages import check
from fruix.packages.build_systems import recipe


@dataclass(frozen=True, slots=True)
class Arguments(recipe.Arguments):
    """Arguments of packages that are made by a shell script; it must make every output."""

    script: str = ""


def phases(arguments: Arguments, _outputs: Sequence[str]) -> recipe.Items:
    """The package's own script as the phase `build`.

    Raises:
        UsageError: there is no script.
    """
    if not arguments.script.strip():
        raise check.wrong("argument 'script'", "the commands that make $out", arguments.script)
    return [("build", arguments.script)]
