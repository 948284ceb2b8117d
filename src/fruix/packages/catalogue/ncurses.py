"""Library for terminals."""

from fruix.packages.catalogue.dash import package as dash
from fruix.packages.package import Origin, Package

# Programs that know nothing of wide characters link with the libraries that do.
_NARROW_NAMES = """
for name in ncurses form panel menu; do
    ln -s "lib${name}w.so" "$out/lib/lib$name.so"
    ln -s "lib${name}w.a" "$out/lib/lib$name.a"
    ln -s "${name}w.pc" "$out/lib/pkgconfig/$name.pc"
done
ln -s libncursesw.so "$out/lib/libcurses.so"
"""

package = Package(
    name="ncurses",
    version="6.4",
    source=Origin(
        urls=(
            "mirror://debian/pool/main/n/ncurses/ncurses_6.4.orig.tar.gz",
            "mirror://gnu/ncurses/ncurses-6.4.tar.gz",
        ),
        sha256="6931283d9ac87c5073f30b6290c4c75f21632bb4fc3603ac8100812bed248159",
    ),
    build_system="gnu",
    arguments={
        "configure_flags": (
            "--with-shared",
            "--without-debug",
            "--without-ada",
            "--without-cxx-binding",
            "--enable-widec",
            "--enable-overwrite",
            "--enable-pc-files",
            "--with-pkg-config-libdir=$out/lib/pkgconfig",
            # Else compressed if those of the system are, by a gzip that notes the time.
            "--with-manpage-format=normal",
        ),
        "tests": False,
        "phases": lambda phases: phases.insert_after("install", "link-narrow-names", _NARROW_NAMES),
    },
    inputs=(dash,),
    untested={"*": "upstream's test programs are for people to look at"},
    synopsis="Library for terminals",
    description=(
        "ncurses draws text, windows, menus and forms on terminals of any kind, and describes "
        "those kinds in the terminfo database."
    ),
    license="X11-distribute-modifications-variant",
    home_page="https://invisible-island.net/ncurses/",
)
