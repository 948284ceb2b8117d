"""Keeps the history of trees of files."""

from fruix.packages.catalogue.curl import package as curl
from fruix.packages.catalogue.dash import package as dash
from fruix.packages.catalogue.expat import package as expat
from fruix.packages.catalogue.openssl import package as openssl
from fruix.packages.catalogue.pcre2 import package as pcre2
from fruix.packages.catalogue.zlib import package as zlib
from fruix.packages.package import Origin, Package

# Its scripts, and what it has a shell run, go to the store.
_FIND = """
git_shell=$(command -v dash)
git_tests=$(cd t && echo t000[0-468]*.sh t0030*.sh t0040*.sh t0063*.sh t0090*.sh)
"""

# An example in Perl.
_NO_PERL = 'rm "$out/share/git-core/templates/hooks/fsmonitor-watchman.sample"'

package = Package(
    name="git",
    version="2.47.3",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/g/git/git_2.47.3.orig.tar.xz",
            "https://www.kernel.org/pub/software/scm/git/git-2.47.3.tar.xz",
        ),
        sha256="9c2eb1250781b3e5bfef098572d07fdf132d67e6c065e4307332ade9819a1501",
    ),
    build_system="gnu",
    root="debian-12+perl",  # of its tests
    host_view="base+perl",
    arguments={
        "make_flags": (
            "prefix=$out",
            "CFLAGS=-O2",
            "SHELL_PATH=$git_shell",
            "NO_GETTEXT=YesPlease",
            "NO_PERL=YesPlease",
            "NO_PYTHON=YesPlease",
            "NO_TCLTK=YesPlease",
            "INSTALL_SYMLINKS=YesPlease",
            "USE_LIBPCRE2=YesPlease",
            "TEST_LINT=",
            "T=$git_tests",
        ),
        "environment": {
            "GIT_TEST_CHAIN_LINT": "0",  # which is for who writes tests
            "GIT_SKIP_TESTS": "t0001.20 t0001.21 t0001.28",
        },
        "check_target": "test",
        # Those that are known to fail have a word about it after a '#'.
        "count_tests": (r"^ok [0-9]+ - ", r"^not ok [0-9]+ [^#]*$"),
        "phases": lambda phases: phases.replace("configure", _FIND).insert_after(
            "install", "no-perl", _NO_PERL
        ),
    },
    inputs=(curl, dash, expat, openssl, pcre2, zlib),
    untested={
        "t0001 20, 21, 28": "they set set-group-ID bits, which builders may not",
        "other files of the suite": "most of it, left out for their length",
    },
    synopsis="Keeps the history of trees of files",
    description=(
        "Git is a distributed version control system. Its commands in Perl (git send-email, git svn), "
        "Python and Tcl are left out."
    ),
    license="GPL-2.0-only",
    home_page="https://git-scm.com/",
)
