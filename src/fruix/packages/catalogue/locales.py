"""Locales, character sets and time zones."""

from fruix.packages.package import Package

_LANGUAGES = "de_DE en_GB en_US es_ES fr_FR it_IT ja_JP pt_BR ru_RU tr_TR zh_CN"
# `right` and `posix` are the same zones again, with leap seconds and without.
_MAKE = f"""
mkdir -p "$out/lib/locale" "$out/share"
for name in {_LANGUAGES}; do
    # By this name the C library finds it as `UTF-8` too.
    localedef -i "$name" -f UTF-8 "$out/lib/locale/$name.utf8"
done
ln -s "${{fruixLibraryPath%%:*}}/gconv" "$out/lib/gconv"
cp -R /usr/share/zoneinfo "$out/share/"
chmod -R u+w "$out/share"
cd "$out/share/zoneinfo"
rm -r right posix localtime
"""

package = Package(
    name="locales",
    version="2.36",
    build_system="trivial",
    arguments={"script": _MAKE},
    root="debian-12+locales",
    untested={"*": "data, which programs of other packages read"},
    synopsis="Locales, character sets and time zones",
    description=(
        "Data of the C library of results that are built in a root: eleven locales (LOCPATH: lib/locale), "
        "conversions of character sets (GCONV_PATH: lib/gconv) and time zones (TZDIR: share/zoneinfo)."
    ),
    license="LGPL-2.1-or-later",
    home_page="https://www.gnu.org/software/libc/",
)
