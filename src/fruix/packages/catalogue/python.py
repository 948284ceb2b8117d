"""Language for programs of any size."""

from fruix.packages.catalogue.bzip2 import package as bzip2
from fruix.packages.catalogue.dash import package as dash
from fruix.packages.catalogue.expat import package as expat
from fruix.packages.catalogue.libffi import package as libffi
from fruix.packages.catalogue.ncurses import package as ncurses
from fruix.packages.catalogue.openssl import package as openssl
from fruix.packages.catalogue.pkgconf import package as pkgconf
from fruix.packages.catalogue.readline import package as readline
from fruix.packages.catalogue.sqlite import package as sqlite
from fruix.packages.catalogue.xz import package as xz
from fruix.packages.catalogue.zlib import package as zlib
from fruix.packages.package import Origin, Package

# Of the language, of each part of the library that is written in C, and of what much else uses.
_TESTED = (
    "array argparse ast base64 binascii builtin bz2 cmath codecs collections csv "
    "ctypes curses dataclasses datetime decimal dict enum exceptions float fstring functools "
    "generators grammar gzip hashlib heapq importlib ipaddress itertools json list long lzma "
    "math operator pickle pyexpat random re readline select set sqlite3 ssl str string struct syntax "
    "sys tarfile textwrap tomllib typing unicodedata xml_etree zipfile zlib"
)

# What it was configured with is written down, search paths of native inputs among it.
_FORGET = """
sed -i 's|^CONFIG_ARGS=.*|CONFIG_ARGS=|' Makefile
"""

package = Package(
    name="python",
    version="3.13.5",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/p/python3.13/python3.13_3.13.5.orig.tar.xz",
            "https://www.python.org/ftp/python/3.13.5/Python-3.13.5.tar.xz",
        ),
        sha256="93e583f243454e6e9e4588ca2c2662206ad961659863277afcdb96801647d640",
    ),
    build_system="gnu",
    arguments={
        "configure_flags": (
            "--enable-shared",
            "--with-system-expat",
            "--without-ensurepip",
            "--without-static-libpython",
            "--disable-test-modules",
        ),
        "environment": {"PYTHONHASHSEED": "0"},  # what is compiled is the same each time
        "check_target": "test",
        "make_flags": (
            f"TESTOPTS=-u none -j2 -i test_modes {' '.join(f'test_{name}' for name in _TESTED.split())}",
        ),
        # One line for each file of the suite.
        "count_tests": (r"\] test_[a-z0-9_]+ passed", r"\] test_[a-z0-9_]+ (failed|crashed)"),
        "phases": lambda phases: phases.insert_after("configure", "forget-arguments", _FORGET).insert_after(
            "install", "name-python", 'ln -s python3 "$out/bin/python"'
        ),
    },
    inputs=(bzip2, dash, expat, libffi, ncurses, openssl, readline, sqlite, xz, zlib),
    native_inputs=(pkgconf,),
    untested={
        "test_bytes, test_class, test_compile, test_marshal, test_types": (
            "they want modules that are made for tests only"
        ),
        "test_tarfile test_modes": "it sets set-user-ID bits, which builders may not",
        "other files of the suite": "most of it, left out for their length",
    },
    synopsis="Language for programs of any size",
    description=(
        "Python is an interpreted, object-oriented language with a large standard library. pip, tkinter "
        "and dbm.gnu are left out."
    ),
    license="PSF-2.0",
    home_page="https://www.python.org/",
)
