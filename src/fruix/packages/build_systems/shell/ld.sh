# Options whose value is the next argument are skipped with it: none of those values is a library. Lists are of lines.
set -f
IFS='
'
directories='' libraries='' files='' skip='' mode='' words='' paths='' loader=''
for word; do
    case $word in @*) [ ! -r "${word#@}" ] || words="$words$IFS$(xargs printf '%s\n' < "${word#@}")" ;; esac
done
for word in "$@" $words; do
    case $skip in
    -L) directories="$directories$IFS$word" skip=''; continue ;;
    -l) libraries="$libraries$IFS$word" skip=''; continue ;;
    -I | -dynamic-linker | --dynamic-linker) loader=$word skip=''; continue ;;
    ?*) skip=''; continue ;;
    esac
    case $word in
    -L | -l | -o | -h | -m | -z | -e | -u | -T | -I | -R | -soname | --soname | -rpath | --rpath | -rpath-link | --rpath-link | \
        -plugin | -dynamic-linker | --dynamic-linker | -Map | --version-script) skip=$word ;;
    -dynamic-linker=* | --dynamic-linker=*) loader=${word#*=} ;;
    -Bstatic | -dn | -non_shared | -static) mode=static ;;
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
# In a root: the runtime's loader, and its libraries for all that is linked dynamically. The old kind of run path holds for what
# libraries need themselves, too, so that nothing is looked for on the host.
if [ -n "$LOADER" ]; then
    [ -n "$mode" ] || paths="$paths$IFS$(echo "$LIBRARIES" | tr : '\n')"
    case $loader in '' | "$STORE"/*) ;; *) set -- "$@" -dynamic-linker "$LOADER" ;; esac
    set -- "$@" --disable-new-dtags
else
    set -- --enable-new-dtags "$@"
fi
for path in $paths; do
    set -- "$@" -rpath "$path"
done
exec "$REAL" "$@"
