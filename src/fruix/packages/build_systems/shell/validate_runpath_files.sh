# shellcheck disable=SC2016,SC2046,SC2086 # lists are of lines; $ORIGIN is meant as it stands there
set -uf
IFS='
'
directories() { echo "$1" | tr : '\n'; }
in_one_of() { # NAME DIRECTORY...: sets `place`
    name=$1; shift
    for place; do [ ! -e "$place/$name" ] || return 0; done
    return 1
}
elsewhere=" nor among the host view's libraries"
[ -z "${fruixLoader:-}" ] || elsewhere=''
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
    dynamic=$(readelf -W -d -l "$file" 2>/dev/null) || continue
    printf x >> "$fruix/checked"
    loader=$(echo "$dynamic" | sed -n 's/.*program interpreter: \(.*\)\]/\1/p')
    case ${fruixLoader:+$loader} in
    '' | "$NIX_STORE"/*) ;;
    *) complain "is run by '$loader' of the host" ;;
    esac
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
            complain "needs '$library', which is neither on its run path$elsewhere"
        fi
    done
done
exit 0
