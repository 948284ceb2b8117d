"""Getting at a package's source, and leaving a trace of it: phases that several build systems share. POSIX shell."""

from __future__ import annotations

# $source is a tarball, a directory or a single file. Afterwards the current directory is the (single) directory that was in it.
UNPACK = """
if [ -d "$source" ]; then
    cp -R "$source" source
    chmod -R u+w source
else
    mkdir unpacked
    case $source in
    *.tar | *.tar.* | *.tgz | *.txz | *.tbz2) tar -xf "$source" -C unpacked ;;
    *) cp "$source" "unpacked/${source#*-}" ;;
    esac
    set -- unpacked/*
    if [ $# = 1 ] && [ -d "$1" ]; then mv "$1" source; else mv unpacked source; fi
fi
cd source
"""

PATCH = """
for file in $patches; do
    echo "applying $file"
    patch -p1 < "$file"
done
"""

# The installed package keeps a reference to what it was made from.
RECORD_SOURCE = """
if [ -d "$out" ]; then
    mkdir -p "$out/share/doc/$pname"
    echo "$source" > "$out/share/doc/$pname/source"
fi
"""
