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

_LD = r"""# Options whose value is the next argument are skipped with it: none of those values is a library. Lists are of lines.
set -f
IFS='
'
directories='' libraries='' files='' skip='' mode='' words='' paths=''
for word; do
    case $word in @*) [ ! -r "${word#@}" ] || words="$words$IFS$(xargs printf '%s\n' < "${word#@}")" ;; esac
done
for word in "$@" $words; do
    case $skip in
    -L) directories="$directories$IFS$word" skip=''; continue ;;
    -l) libraries="$libraries$IFS$word" skip=''; continue ;;
    ?*) skip=''; continue ;;
    esac
    case $word in
    -L | -l | -o | -h | -m | -z | -e | -u | -T | -I | -R | -soname | --soname | -rpath | --rpath | -rpath-link | --rpath-link | \
        -plugin | -dynamic-linker | --dynamic-linker | -Map | --version-script) skip=$word ;;
    -Bstatic | -dn | -non_shared) mode=static ;;
    -Bdynamic | -dy | -call_shared) mode='' ;;
    -r | -Ur | --relocatable) exec "$REAL" "$@" ;;
    -L*) directories="$directories$IFS${word#-L}" ;;
    -l*) [ -n "$mode" ] || libraries="$libraries$IFS${word#-l}" ;;
    -*) ;;
    *.so | *.so.*) files="$files$IFS$word" ;;
    esac
done
use() {
    case $1 in
    "$STORE"/*) path=$(cd "$1" && pwd -P) ;;
    "$TOP" | "$TOP"/* | [!/]*) path=$OUT/lib ;;
    *) return 0 ;;
    esac
    case "$IFS$paths$IFS" in *"$IFS$path$IFS"*) ;; *) paths="$paths$IFS$path" ;; esac
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

_SET_UP = r"""
{ set +x; } 2>/dev/null
{
    cat <<END
#!/bin/sh
REAL='$(command -v ld)' STORE='$NIX_STORE' TOP='$NIX_BUILD_TOP' OUT='${lib:-$out}'
END
    cat <<'END'
@LD@END
} > "$fruix/ld"
chmod +x "$fruix/ld"
export COMPILER_PATH="$fruix${COMPILER_PATH:+:$COMPILER_PATH}"
"""
SET_UP = _SET_UP.replace("@LD@", _LD)

# Run on some files at a time; what it finds goes to files: a byte for each that was looked at, and for each fault.
_VALIDATE_FILES = r"""# shellcheck disable=SC2016,SC2046,SC2086 # lists are of lines; $ORIGIN is meant as it stands there
set -uf
IFS='
'
directories() { echo "$1" | tr : '\n'; }
in_one_of() { # NAME DIRECTORY...: sets `place`
    name=$1; shift
    for place; do [ ! -e "$place/$name" ] || return 0; done
    return 1
}
complain() {
    printf '%s: %s\n' "$file" "$1"
    printf x >> "$fruix/wrong"
}
# The directories of a run path; $ORIGIN is where the file is.
own_directories() {
    for place in $(directories "$1"); do
        case $place in
        '$ORIGIN'*) echo "${file%/*}${place#?ORIGIN}" ;;
        '${ORIGIN}'*) echo "${file%/*}${place#??ORIGIN?}" ;;
        *) echo "$place" ;;
        esac
    done
}
for file; do
    [ "$(od -A n -v -t x1 -N 4 "$file" | tr -d ' \t\n')" = 7f454c46 ] || continue
    dynamic=$(readelf -W -d "$file" 2>/dev/null) || continue
    printf x >> "$fruix/checked"
    own=$(own_directories "$(echo "$dynamic" | sed -n 's/.*Library r[un]*path: \[\(.*\)\].*/\1/p')")
    for place in $own; do
        case $place in
        "$NIX_STORE"/*) ;;
        /usr/local/lib/gcc*) ;; # where FreeBSD's ports have the compiler's own libraries
        *) complain "its run path has '$place', which is not in the store" ;;
        esac
    done
    for library in $(echo "$dynamic" | sed -n 's/.*Shared library: \[\(.*\)\].*/\1/p'); do
        if in_one_of "$library" $own; then continue; fi
        if in_one_of "$library" $(directories "${LIBRARY_PATH:-}") $fruix_own; then
            complain "needs '$library' of '$place', but its run path does not lead there: the host's would be used, or none"
        elif ! in_one_of "$library" $fruix_host; then
            complain "needs '$library', which is neither on its run path nor among the host view's libraries"
        fi
    done
done
exit 0
"""

_VALIDATE = r"""
{ set +x; } 2>/dev/null
command -v readelf >/dev/null || { echo "this view has no readelf: run paths are not checked"; return 0; }
cat > "$fruix/validate" <<'END'
@FILES@END
: > "$fruix/checked"
: > "$fruix/wrong"
fruix_host=$(for place in /lib /usr/lib /lib64 /usr/lib64 /usr/local/lib /lib/*-linux-* /usr/lib/*-linux-*; do echo "$place"; done)
set -- @OUTPUTS@
fruix_own=$(for output; do echo "$output/lib"; done)
export fruix fruix_host fruix_own
for output; do
    if [ ! -e "$output" ] || [ -L "$output" ]; then continue; fi
    make_writable "$output"
    find "$output" -type f \( -perm -0100 -o -name '*.so' -o -name '*.so.*' \) -exec sh "$fruix/validate" {} +
done
checked=$(wc -c < "$fruix/checked") wrong=$(wc -c < "$fruix/wrong")
echo "run paths: $((checked)) files checked, $((wrong)) wrong"
[ "$((wrong))" = 0 ] || {
    echo "pass -Wl,-rpath to the linker for the libraries above, or take out the phase validate-runpath"
    return 1
}
"""


def validate(outputs: Iterable[str]) -> str:
    """The phase `validate-runpath` for a package with these outputs."""
    names = " ".join(f'"${name}"' for name in outputs)
    return _VALIDATE.replace("@FILES@", _VALIDATE_FILES).replace("@OUTPUTS@", names)
