"""What a host view is to hold: tools by name, trees, files by pattern.

The defaults per platform, and the operator's own.

A definition says what is wanted; what this host has of it is `resolve`'s affair. The defaults hold
what `./configure && make && make check && make install` of a C program needs, and nothing else.
Format of the configuration: docs/configuration.md.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from fruix.dataclass import dataclass, replace
from fruix.errors import UsageError
from fruix.hostview.headers import C_HEADERS, KERNEL_HEADERS
from fruix.hostview.parts import Part
from fruix.late import late_pattern
from fruix.model.nearest import nearest

_NAME = late_pattern(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,63}")
_PATH = late_pattern(r"(/(?!\.{1,2}(/|$))[^/\0]+)+")
_LINUX_LIBRARIES = ("/lib/*-linux-*", "/usr/lib/*-linux-*", "/lib64", "/usr/lib64", "/lib", "/usr/lib")
_FREEBSD_LIBRARIES = ("/lib", "/usr/lib")
# Made by ldconfig(8); without it nothing in /usr/local/lib is found.
_FREEBSD_HINTS = "/var/run/ld-elf.so.hints"


@dataclass(frozen=True, slots=True)
class ViewDefinition:
    """What one view is to hold, wherever this host has it.

    Attributes:
        tools: names that must be found on `path`.
        optional: names that are shown if they are there.
        trees: directories shown whole, that must be there; patterns must match one at least.
        optional_trees: those that are shown if they are there.
        parts: what some packages have in directories that they share with others.
        files: patterns (`*`, `?`, `[…]` in the last part or a directory's name) of files shown if
            they are there.
        path: directories in which tools are looked up, as seen inside.
        libraries: patterns of the directories in which the loader finds shared libraries by itself.
        hints: the loader's list of more such directories, if this system has one; shown if it is there.
        instead: what stands in for this view when a required tool is on none of its `path`.
    """

    name: str
    tools: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    trees: tuple[str, ...] = ()
    optional_trees: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    files: tuple[str, ...] = ()
    path: tuple[str, ...] = ("/usr/bin", "/bin")
    libraries: tuple[str, ...] = _LINUX_LIBRARIES
    hints: str = ""
    instead: ViewDefinition | None = None


def definitions(
    configured: Mapping[str, Mapping[str, Any]], system: str | None = None
) -> Mapping[str, ViewDefinition]:
    """The platform's views and the configured ones, which win.

    `system` is what `uname -s` says, by default this one's.

    Raises:
        UsageError: an unknown key or a value of another type; names both.
    """
    uname = os.uname()
    platform = _DEFAULTS.get(system or uname.sysname)
    views = platform(uname.machine) if platform else {}
    return views | {name: _configured(name, table, views) for name, table in configured.items()}


def _configured(
    name: str, table: Mapping[str, Any], defaults: Mapping[str, ViewDefinition]
) -> ViewDefinition:
    """Read a view of the configuration; `extends` adds its lists to those of a view of the platform."""
    where = f"views.{name}"
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' can't be a host view's name", where=where, hint="letters, digits, + . _ -"
        )
    if unknown := sorted(table.keys() - _KEYS.keys() - {"extends"}):
        raise UsageError(
            f"unknown key '{unknown[0]}'", where=where, hint=nearest(unknown[0], [*_KEYS, "extends"])
        )
    lists: dict[str, Any] = {
        _KEYS[key][0]: _strings(value, key, where) for key, value in table.items() if key in _KEYS
    }
    if "extends" not in table:
        return ViewDefinition(name, **lists)
    base = defaults.get(table["extends"]) if isinstance(table["extends"], str) else None
    if base is None:
        raise UsageError(
            f"there is no view {table['extends']!r} to extend",
            where=f"{where}.extends",
            hint=nearest(str(table["extends"]), defaults) if defaults else "this platform has none",
        )
    fields = [field for field, _ in _KEYS.values()]
    added: dict[str, Any] = {
        field: tuple(dict.fromkeys((*getattr(base, field), *lists.get(field, ())))) for field in fields
    }
    return replace(base, name=name, instead=None, **added)


def _strings(value: Any, key: str, where: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise UsageError(
            "must be a list of strings", where=f"{where}.{key}", hint=f'for example {key} = ["…"]'
        )
    pattern, expected = _KEYS[key][1], "an absolute path" if _KEYS[key][1] is _PATH else "a tool's name"
    for item in value:
        if not pattern.fullmatch(item):
            raise UsageError(f"{item!r} is not {expected}", where=f"{where}.{key}")
    return tuple(value)


_TOOL = late_pattern(r"(?!\.{1,2}$)[^/\0]+")
# Key of the configuration → field, and what its items look like.
_KEYS: Mapping[str, tuple[str, re.Pattern[str]]] = {
    "tools": ("tools", _TOOL),
    "optional-tools": ("optional", _TOOL),
    "trees": ("trees", _PATH),
    "optional-trees": ("optional_trees", _PATH),
    "files": ("files", _PATH),
    "path": ("path", _PATH),
}

_REQUIRED_TOOLS = """
    sh cc ld as ar ranlib make sed awk grep tar gzip cmp diff find xargs cat chmod cp cut date
    dirname basename echo env expr false head id install ln ls mkdir mktemp mv nl od printf pwd
    readlink realpath rm rmdir seq sleep sort stat tail tee test [ touch tr true tsort tty uname
    uniq wc whoami yes
"""
_OPTIONAL_TOOLS = """
    bash gcc c++ g++ cpp nm strip objdump objcopy readelf strings c++filt addr2line egrep fgrep mawk
    gawk bzip2 xz zstd lzip unzip gunzip zcat patch m4 hostname file which comm paste fold split
    join csplit shuf sum md5sum sha1sum sha256sum sha512sum base64 nproc numfmt timeout nice nohup
    dd df du link unlink sync fmt expand unexpand pr ptx tac truncate users who vdir dir dircolors
    factor logname pathchk pinky printenv kill chgrp chown mkfifo mknod
"""
# What compiling and linking takes of the C and C++ library: start files, archives, linker scripts,
# shared objects. The loader comes with the tools; those of other machines (Debian's libc6-i386) are
# none of the view's.
_LIBRARY_FILES = """
    crt*.o gcrt1.o grcrt1.o Mcrt1.o rcrt1.o Scrt1.o libBrokenLocale.* libanl.* libc.a libc.so
    libc.so.6 libc_nonshared.a libcrypt.a libcrypt.so libcrypt.so.[0-9] libdl.* libg.a libgcc_s.so*
    libm-*.a libm.a libm.so libm.so.6 libmvec.* libnss_dns.so* libnss_files.so* libpthread.*
    libpthread_nonshared.a libresolv.* librt.* libstdc++.a libstdc++.so libsupc++.a libutil.*
"""
# Data without which tools above don't work: the compiler's plugin for ar and nm, the patterns of file(1).
_TOOL_FILES = (
    "/usr/lib/bfd-plugins/liblto_plugin.so",
    "/usr/lib/file/magic.mgc",
    "/usr/share/misc/magic.mgc",
)
_INCLUDE = "/usr/include"
_C_LIBRARY = Part(
    (f"{_INCLUDE}/stdio.h",), (_INCLUDE,), C_HEADERS, hint="the C library's headers (Debian: libc6-dev)"
)
# A package of its own on some systems, and part of the C library on others.
_CRYPT = Part((f"{_INCLUDE}/crypt.h",), (_INCLUDE,), (f"{_INCLUDE}/crypt.h",), required=False)
_KERNEL = Part(
    (f"{_INCLUDE}/linux/types.h",),
    (_INCLUDE, "/usr/lib/linux/uapi"),
    KERNEL_HEADERS,
    hint="the kernel's headers (Debian: linux-libc-dev)",
)
# GCC's own programs, start files, libraries and headers, with those of C++; of no other language
# and no other machine.
_COMPILER = Part(
    (
        *(
            f"/usr/lib*/gcc/{{gcc}}/{name}"
            for name in ("cc1", "cc1plus", "collect2", "lto1", "crtbegin.o", "libgcc.a")
        ),
        "/usr/lib*/gcc/{gcc}/include/stddef.h",
        "/usr/lib*/gcc/{gcc}/libstdc++.so",
        f"{_INCLUDE}/c++/{{gcc-version}}/iostream",
    ),
    ("/usr/lib*/gcc/{gcc}", f"{_INCLUDE}/c++", f"{_INCLUDE}/*/c++"),
    ("/usr/lib*/gcc", f"{_INCLUDE}/c++", f"{_INCLUDE}/*/c++"),
    required=False,
)
_CMAKE = Part(
    ("/usr/share/cmake*/Modules/CMakeDetermineSystem.cmake",),
    ("/usr/share/cmake*",),
    ("/usr/share/cmake*",),
    hint="CMake's modules (Debian: cmake-data)",
)
# The interpreter's standard library; nobody's other modules.
_PYTHON = Part(
    (
        "/usr/lib*/{python3}/os.py",
        "/usr/lib*/{python3}/unittest/__init__.py",
        "/usr/lib*/{python3}/_sysconfigdata_*.py",
    ),
    ("/usr/lib*/{python3}",),
    ("/usr/lib*/{python3}",),
    hint="Python's standard library (Debian: python3)",
)
# Perl's own modules (Debian: perl-base, perl-modules, libperl; others have them in two directories).
_PERL_PLACES = (
    *(f"/usr/lib/*-linux-*/{name}" for name in ("perl-base", "perl")),
    "/usr/share/perl",
    *(f"/usr/{place}/perl5/core_perl" for place in ("lib", "lib64", "share")),
)
_PERL = Part(
    (
        *(f"{place}/strict.pm" for place in _PERL_PLACES),
        *(f"{place}/*/{name}" for place in _PERL_PLACES[1:3] for name in ("Config.pm", "Test/More.pm")),
    ),
    _PERL_PLACES,
    _PERL_PLACES,
    required=False,
)
# Git's own programs, for sources that are commits.
_GIT = Part(
    tuple(f"/usr/{place}/git-core/git-remote-http" for place in ("lib", "libexec")),
    tuple(f"/usr/{place}/git-core" for place in ("lib", "libexec")),
    tuple(f"/usr/{place}/git-core" for place in ("lib", "libexec")),
    required=False,
)
# Debian's names of machines in library directories, where they differ from the kernel's.
_MULTIARCH = {"i586": "i386", "i686": "i386", "armv6l": "arm", "armv7l": "arm", "ppc64le": "powerpc64le"}
_FREEBSD_TOOLS = "sh cc ld ar ranlib make sed awk grep tar gzip cmp diff find xargs install"
_FREEBSD_TREES = ("/bin", "/lib", "/libexec", "/usr/bin", "/usr/include", "/usr/lib")
_FREEBSD_OPTIONAL_TREES = ("/usr/libexec", "/usr/share/locale", "/usr/share/misc", "/usr/share/mk")


def _linux(machine: str) -> dict[str, ViewDefinition]:
    multiarch = f"{_MULTIARCH.get(machine, machine)}-linux-*"
    directories = (f"/usr/lib/{multiarch}", "/usr/lib64", "/usr/lib", f"/lib/{multiarch}", "/lib64", "/lib")
    base = ViewDefinition(
        "base",
        tools=tuple(_REQUIRED_TOOLS.split()),
        optional=tuple(_OPTIONAL_TOOLS.split()),
        parts=(_C_LIBRARY, _CRYPT, _KERNEL, _COMPILER),
        files=(
            *(f"{place}/{name}" for place in directories for name in _LIBRARY_FILES.split()),
            *_TOOL_FILES,
        ),
    )
    cmake = _more(base, "base+cmake", ("cmake", "ctest"), _CMAKE)
    python = _more(base, "base+python", ("python3",), _PYTHON)
    perl = _more(base, "base+perl", ("perl",), _PERL)
    git = _more(base, "base+git", ("git",), _GIT)
    return {view.name: view for view in (base, cmake, python, perl, git)}


def _more(base: ViewDefinition, name: str, tools: tuple[str, ...], part: Part) -> ViewDefinition:
    return replace(base, name=name, tools=(*base.tools, *tools), parts=(*base.parts, part))


def _freebsd(_machine: str) -> dict[str, ViewDefinition]:
    """FreeBSD's views, which show whole directories.

    The base system belongs together, and /usr/bin has little that a build should not see.

    A base system without compiler or linker (they can be left out of it) takes those of ports.
    """
    ports = ViewDefinition(
        "base+ports",
        tools=tuple(_FREEBSD_TOOLS.split()),
        trees=(*_FREEBSD_TREES, "/usr/local"),
        optional_trees=_FREEBSD_OPTIONAL_TREES,
        path=("/usr/local/bin", "/usr/bin", "/bin"),
        libraries=_FREEBSD_LIBRARIES,
        hints=_FREEBSD_HINTS,
    )
    base = replace(
        ports, name="base", trees=_FREEBSD_TREES, path=("/usr/bin", "/bin"), hints="", instead=ports
    )
    # CMake, Python and so on are ports: on FreeBSD the views that have them are one.
    others = [replace(ports, name=name, tools=(*ports.tools, *more)) for name, more in _PORTS.items()]
    return {view.name: view for view in (base, ports, *others)}


_PORTS = {
    "base+cmake": ("cmake", "ctest"),
    "base+python": ("python3",),
    "base+perl": ("perl",),
    "base+git": ("git",),
}


_DEFAULTS = {"Linux": _linux, "FreeBSD": _freebsd}
