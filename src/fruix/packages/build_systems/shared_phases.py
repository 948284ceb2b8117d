"""The shell text of builders that several build systems share; it stands in the files of `shell/`.

The build system for Guix's clients (`fruix/guile`) reads these files too.

Every builder reads `SET_UP` first, a file of its own in the store that is the same for all
packages; so do shells in a build's sandbox (`fruix enter`). It sets the search paths from the
inputs and defines functions that phases use. Lists of inputs come in files (`passAsFile`), since
all of them together can be longer than a variable may be; a variable takes only directories that
are there.

`UNPACK` knows an archive by its first bytes, whatever it is called: tar, plain or compressed by
gzip, bzip2, xz, lzma, zstd, lzip or compress; zip, and what libarchive reads beside that. What
can't be unpacked is refused by name, with the tool that lacks. Afterwards everybody may read the
files and nobody but the builder may write them, and none is from before 1980, which ZIP archives
could not hold. The current directory is then the (single) directory that was in the archive.

`PATCH` refuses a patch whose context is not the source's, as it was made for another source, unless
the origin says how many lines may differ. `RECORD_SOURCE` leaves a reference to the source in the
package's documents.

`_SET_UP_LINKER` and the phase `validate-runpath` make results find the store's libraries at run
time. The loader looks into the host's directories by itself, never into the store. So a phase
before the build puts a small script named `ld` where the compiler looks first (`COMPILER_PATH`,
which GCC and Clang know). It reads its arguments as the linker does, adds a run path for each
shared library of the store that is linked, and `$out/lib` if one of the build's own is, and then
runs the view's linker. A phase after the build reads what came of it (`readelf`) and fails if a
library of an input would be looked for on the host. Not covered: linkers that a package runs under
another name (`ld.gold`, `-fuse-ld=…`); the check would find what they leave out. A library that is
named but that the linker then leaves out (`--as-needed`) keeps its run path.

In a root the loader and the C library are the runtime's, a path of the store, and nothing of the
host is left to fall back on; the first lines of scripts are led into the store too
(`patch-shebangs`), and `validate-runpath` refuses files of pkg-config that lead out of it.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Sequence
from functools import cache

from fruix.late import late_pattern
from fruix.packages.build_systems.recipe import Items

_FOLDER = os.path.dirname(__file__)
_MARK = late_pattern(r"@([a-z_]+\.sh|[A-Z]+)@")


@cache
def own_text(file: str) -> str:
    """The text of a file beside this one."""
    with open(f"{_FOLDER}/{file}", encoding="utf-8") as opened:
        return opened.read()


def shell_text(file: str, **values: str) -> str:
    """The text of a file of `shell/`, with its marks filled in.

    `@NAME.sh@` stands for the text of another file, `@NAME@` for one of the values.
    """

    def filled(mark: re.Match[str]) -> str:
        return shell_text(mark[1]) if mark[1].endswith(".sh") else values[mark[1]]

    return _MARK.sub(filled, own_text(f"shell/{file}"))


SET_UP = shell_text("set_up.sh")
UNPACK = shell_text("unpack.sh")
PATCH = shell_text("patch.sh")
RECORD_SOURCE = shell_text("record_source.sh")
_SET_UP_LINKER = shell_text("set_up_linker.sh")


def compiled(outputs: Sequence[str], *, configure: str, build: str, check: str, install: str) -> Items:
    """The phases of a package in a compiled language, in order.

    Args:
        outputs: their names.
        configure: commands, run in the source's directory; so are the others.
        build: makes everything.
        check: runs the tests, see `counted`.
        install: puts everything into the outputs.
    """
    return [
        ("set-up-linker", _SET_UP_LINKER),
        ("unpack", UNPACK),
        ("patch", PATCH),
        ("configure", configure),
        ("build", build),
        ("check", check),
        ("install", install),
        *finish(outputs),
    ]


def patch_shebangs(outputs: Iterable[str]) -> tuple[str, str]:
    """The phase that leads the first lines of installed scripts into the store, in a root."""
    return "patch-shebangs", shell_text("patch_shebangs.sh", OUTPUTS=_variables(outputs))


def _variables(outputs: Iterable[str]) -> str:
    return " ".join(f'"${name}"' for name in outputs)


def finish(outputs: Sequence[str]) -> Items:
    """The phases after `install`, in order.

    `tidy` removes Libtool's archives, which drag every static dependency into whatever links with
    them, and the index of manuals, which belongs to no single package. `strip` looks at programs
    and libraries only; the first bytes say what a file is.
    """
    variables = _variables(outputs)
    return [
        ("tidy", shell_text("tidy.sh", OUTPUTS=variables)),
        patch_shebangs(outputs),
        ("strip", shell_text("strip.sh", OUTPUTS=variables)),
        ("validate-runpath", shell_text("validate_runpath.sh", OUTPUTS=variables)),
        ("record-source", RECORD_SOURCE),
    ]


def counted(command: str, patterns: Sequence[str]) -> str:
    """The phase `check`, with counts of the tests that passed and failed.

    Counting is for packages whose own output has no summary that a build record understands.
    `tee` shows the output as it comes. The command is on the left of a pipe, in a shell of its own:
    there a failure of any of its parts ends it (left of `||` it would not), and the file that tells
    of its success is not made.

    Args:
        command: runs the tests, and fails if one does.
        patterns: nothing, or two extended regular expressions: of lines that tell of a test passed,
            and of one failed.
    """
    if not patterns:
        return command
    passed, failed = map(shlex.quote, patterns)
    return shell_text("check.sh", COMMAND=command.strip(), PASSED=passed, FAILED=failed)


# What the tests of gnulib ask for, which are those of many packages of GNU too.
GNULIB_LOCALES = ("en_US", "fr_FR", "fr_FR.ISO-8859-1", "ja_JP.EUC-JP", "tr_TR", "zh_CN.GB18030")


def locales(*names: str) -> str:
    """Commands for a phase: make locales, and have all programs of the build find them.

    For tests that want another locale than `C` and `C.UTF-8`. The descriptions are in roots with
    the variant `+locales`. In a host view they do nothing: FreeBSD's has locales.

    Args:
        names: such as `en_US`, in UTF-8, or with another character set: `ja_JP.EUC-JP`.
    """
    made = map(_locale, names)
    return _in_a_root("\n".join(['LOCPATH=$fruix/locales\nexport LOCPATH\nmkdir "$LOCPATH"', *made]))


def _locale(name: str) -> str:
    language, _, charset = name.partition(".")
    charset = charset or "UTF-8"
    # By the name under which the C library finds it however a program writes it: utf8, UTF-8.
    place = f"{language}.{''.join(filter(str.isalnum, charset)).lower()}"
    return f'localedef --no-warnings=ascii -i {language} -f {charset} "$LOCPATH/{place}"'


def _in_a_root(commands: str) -> str:
    return f'if [ -n "${{fruixRoot:-}}" ]; then\n{commands.strip()}\nfi'


def run_pytest(arguments: str) -> str:
    """Commands for a phase: run tests by pytest on the modules in `$out`, and count them.

    It is in roots with the variant `+pytest`. No host view has it: there they do nothing.
    """
    path = '"$out/lib/python3/site-packages${PYTHONPATH:+:$PYTHONPATH}"'
    run = f"PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={path} python3 -m pytest -v -p no:cacheprovider {arguments}"
    test = counted(run, (r" PASSED +\[", r" (FAILED|ERROR) +\["))
    return _in_a_root(test)
