"""A linker that makes results find the store's libraries at run time, and a check that they do.

The loader looks into the host's directories by itself, never into the store. So a phase before the build puts a small script named `ld` where the
compiler looks first (`COMPILER_PATH`, which GCC and Clang know). It reads its arguments as the linker does, adds a run path for each shared library of
the store that is linked, and `$out/lib` if one of the build's own is, and then runs the view's linker. A phase after the build reads
what came of it (`readelf`) and fails if a library of an input would be looked for on the host. Not covered: linkers that a package runs under
another name (`ld.gold`, `-fuse-ld=…`); the check would find what they leave out. A library that is named but that the linker then leaves out
(`--as-needed`) keeps its run path.
"""

from __future__ import annotations

from collections.abc import Iterable

_LD = r"""# Options whose value is the next argument are skipped with it: none of those values is a library.
set -f
directories= libraries= files= skip= mode= words= paths=
for word; do
    case $word in @*) [ ! -r "${word#@}" ] || words="$words $(tr -d '"' < "${word#@}")" ;; esac
done
for word in "$@" $words; do
    case $skip in
    -L) directories="$directories $word" skip=; continue ;;
    -l) libraries="$libraries $word" skip=; continue ;;
    ?*) skip=; continue ;;
    esac
    case $word in
    -L | -l | -o | -h | -m | -z | -e | -u | -T | -I | -R | -soname | --soname | -rpath | --rpath | -rpath-link | --rpath-link | \
        -plugin | -dynamic-linker | --dynamic-linker | -Map | --version-script) skip=$word ;;
    -Bstatic | -dn | -non_shared) mode=static ;;
    -Bdynamic | -dy | -call_shared) mode= ;;
    -r | -Ur | --relocatable) exec "$REAL" "$@" ;;
    -L*) directories="$directories ${word#-L}" ;;
    -l*) [ -n "$mode" ] || libraries="$libraries ${word#-l}" ;;
    -*) ;;
    *.so | *.so.*) files="$files $word" ;;
    esac
done
use() {
    case $1 in
    "$STORE"/*) path=$(cd "$1" && pwd -P) ;;
    "$TOP" | "$TOP"/* | [!/]*) path=$OUT/lib ;;
    *) return 0 ;;
    esac
    case " $paths " in *" $path "*) ;; *) paths="$paths $path" ;; esac
}
for file in $files; do
    case $file in */*) use "${file%/*}" ;; *) use . ;; esac
done
for library in $libraries; do
    case $library in :*) name=${library#:} archive=$name ;; *) name=lib$library.so archive=lib$library.a ;; esac
    for directory in $directories; do
        if [ -e "$directory/$name" ]; then use "$directory"; break; fi
        if [ -e "$directory/$archive" ]; then break; fi
    done
done
for path in $paths; do
    set -- "$@" -rpath "$path"
done
exec "$REAL" --enable-new-dtags "$@"
"""

_SET_UP = """
mkdir -p "$NIX_BUILD_TOP/.fruix"
{
    cat <<END
#!/bin/sh
REAL='$(command -v ld)' STORE='$NIX_STORE' TOP='$NIX_BUILD_TOP' OUT='${lib:-$out}'
END
    cat <<'END'
@LD@END
} > "$NIX_BUILD_TOP/.fruix/ld"
chmod +x "$NIX_BUILD_TOP/.fruix/ld"
export COMPILER_PATH="$NIX_BUILD_TOP/.fruix${COMPILER_PATH:+:$COMPILER_PATH}"
"""
SET_UP = _SET_UP.replace("@LD@", _LD)

_VALIDATE = r"""
command -v readelf >/dev/null || { echo "this view has no readelf: run paths are not checked"; return 0; }
list=$NIX_BUILD_TOP/.fruix-files
find @OUTPUTS@ -type f \( -perm -0100 -o -name '*.so' -o -name '*.so.*' \) > "$list"
host="/lib /usr/lib /lib64 /usr/lib64 /usr/local/lib $(echo /lib/*-linux-* /usr/lib/*-linux-*)"
inputs=$(echo "${LIBRARY_PATH:-}" | tr : ' ')
wrong=0 checked=0
in_one_of() { # NAME DIRECTORY...: sets `place`
    name=$1; shift
    for place; do [ ! -e "$place/$name" ] || return 0; done
    return 1
}
complain() { echo "$file: $1"; wrong=$((wrong + 1)); }
while read -r file; do
    [ "$(head -c 4 "$file" | tail -c 3)" = ELF ] || continue
    dynamic=$(readelf -d "$file" 2>/dev/null) || continue
    checked=$((checked + 1))
    needed=$(echo "$dynamic" | sed -n 's/.*Shared library: \[\(.*\)\].*/\1/p')
    own=$(echo "$dynamic" | sed -n 's/.*Library r[un]*path: \[\(.*\)\].*/\1/p' |
        sed "s,[$]ORIGIN,${file%/*},g; s,[$]{ORIGIN},${file%/*},g" | tr : ' ')
    for place in $own; do
        case $place in
        "$NIX_STORE"/*) ;;
        /usr/local/lib/gcc*) ;; # where FreeBSD's ports have the compiler's own libraries
        *) complain "its run path has '$place', which is not in the store" ;;
        esac
    done
    for library in $needed; do
        if in_one_of "$library" $own; then continue; fi
        if in_one_of "$library" $inputs @LIBRARIES@; then
            complain "needs '$library' of '$place', but its run path does not lead there: the host's would be used, or none"
        elif ! in_one_of "$library" $host; then
            complain "needs '$library', which is neither on its run path nor among the host view's libraries"
        fi
    done
done < "$list"
echo "run paths: $checked files checked, $wrong wrong"
[ "$wrong" = 0 ] || {
    echo "pass -Wl,-rpath to the linker for the libraries above, or take out the phase validate-runpath"
    return 1
}
"""


def validate(outputs: Iterable[str]) -> str:
    """The phase `validate-runpath` for a package with these outputs."""
    names = list(outputs)
    return _VALIDATE.replace("@OUTPUTS@", " ".join(f'"${name}"' for name in names)).replace(
        "@LIBRARIES@", " ".join(f'"${name}/lib"' for name in names)
    )
