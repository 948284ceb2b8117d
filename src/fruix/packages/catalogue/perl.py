"""Language for text, and what many other packages' scripts are written in."""

from fruix.packages.catalogue.dash import package as dash
from fruix.packages.package import Origin, Package

# Without crypt(), whose library the runtime does not have. What Configure would ask the machine for
# and write down is given: who builds it, where, when, on which kernel (in `config.over`, which has the last
# word: of the arguments it takes neither times nor nothing).
_CONFIGURE = """
shell=$(command -v dash)
cat > config.over <<'END'
cf_time='Wed Jan  2 00:00:00 UTC 1980'
osvers=0
END
sh ./Configure -des -Dprefix="$out" -Dcc=cc -Dman1dir="$out/share/man/man1" -Dman3dir=none \\
    -Dsh="$shell" -Dtargetsh="$shell" -Duseshrplib=false -Ud_crypt -Dlibs='-lpthread -ldl -lm -lc' \\
    -Dlocincpth= -Dloclibpth= -Dosvers=0 -Dmyuname=linux -Dmyhostname=localhost -Dmydomain=.localdomain \\
    -Dcf_by=fruix -Dcf_email=fruix@localhost -Dperladmin=fruix@localhost
"""

# Of the language itself.
_FOLDERS = ("base", "class", "cmd", "comp", "io", "lib", "mro", "op", "opbasic", "re", "run", "uni")

package = Package(
    name="perl",
    version="5.40.1",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/p/perl/perl_5.40.1.orig.tar.xz",
            "https://www.cpan.org/src/5.0/perl-5.40.1.tar.xz",
        ),
        sha256="dfa20c2eef2b4af133525610bbb65dd13777ecf998c9c5b1ccf0d308e732ee3f",
    ),
    build_system="gnu",
    arguments={
        "check_target": "test_harness",
        "environment": {
            "TEST_ARGS": " ".join(f"{folder}/*.t" for folder in _FOLDERS),
            "TEST_JOBS": "2",
        },
        # One line for each file of the suite.
        "count_tests": (r" \.\.+ ?ok$", r" \.\.+ ?(FAILED|Failed)"),
        "phases": lambda phases: phases.replace("configure", _CONFIGURE),
    },
    inputs=(dash,),
    untested={"tests of modules": "two thousand files, left out for their length"},
    synopsis="Language for text",
    description="Perl is an interpreted language with regular expressions at its heart, and a large library.",
    license="Artistic-1.0-Perl OR GPL-1.0-or-later",
    home_page="https://www.perl.org/",
)
