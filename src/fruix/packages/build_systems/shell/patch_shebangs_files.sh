# shellcheck disable=SC2046,SC2086,SC2154 # lists are of lines
# Of each script: the first line names a program of an input, or of the package's own, instead of the root's of that name.
set -uf
IFS='
'
find_program() { # NAME: sets `program`
    for place in $(cat "$fruix_inputs") $fruix_own; do
        for program in "$place/bin/$1" "$place/sbin/$1"; do [ ! -x "$program" ] || return 0; done
    done
    return 1
}
files=''
for file; do files=$files$IFS$file; done
for file in $files; do
    [ "$(od -A n -v -t x1 -N 2 "$file" | tr -d ' \t\n')" = 2321 ] || continue
    words=$(sed -n '1{s/^#!//; p; q;}' "$file" | tr -s '\t ' '\n' | grep .) || continue
    case $words in "$NIX_STORE"/*) continue ;; esac
    set -- $words
    case $1 in */env) shift; [ "${1:-}" != -S ] || shift ;; esac
    name=${1##*/}
    shift
    rest=$(IFS=' '; printf %s "$*")
    if find_program "$name"; then
        sed "1s|.*|#!$program${rest:+ $rest}|" "$file" > "$fruix/script"
        cat "$fruix/script" > "$file"
        echo "$file: #!$program"
    else
        echo "$file: is a script for '$name', which no input has"
        printf x >> "$fruix/wrong"
    fi
done
exit 0
