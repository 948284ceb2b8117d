# shellcheck shell=sh disable=SC2154
# What stands for procedures of Guix's and Guile's in phases. Each ends with a status; some are called where `set -e` isn't heeded.

fruix_newline='
'

# EXPRESSION... -- FILE...: Guix's substitute*.
substitute() {
    : > "$fruix/expressions"
    while [ "$1" != -- ]; do
        printf '%s\n' "$2" >> "$fruix/expressions"
        shift 2
    done
    shift
    for fruix_changed; do
        [ -w "$fruix_changed" ] || chmod u+w "$fruix_changed" || return
        with_ends "$fruix_changed" | sed -E -f "$fruix/expressions" |
            tr -d '\n' | tr '\002' '\n' > "$fruix/changed"
        touch -r "$fruix_changed" "$fruix/time"
        cat "$fruix/changed" > "$fruix_changed"
        touch -r "$fruix/time" "$fruix_changed"
    done
}

# FILE: Guix's lines end in a newline that patterns can match; here it is a character with code 2. The last line may have none.
with_ends() {
    if [ -n "$(tail -c 1 "$1")" ]; then
        sed "\$!s/\$/$(printf '\002')/" "$1"
    else
        sed "s/\$/$(printf '\002')/" "$1"
    fi
}

# ADDRESS FILE...: whether sed finds a line of them by it.
matches() {
    fruix_address=$1
    shift
    for fruix_file; do
        [ -z "$(with_ends "$fruix_file" | sed -n -E "$fruix_address{=;q;}")" ] || return 0
    done
    return 1
}

# DELIMITER TEXT: as a part of what sed puts in the place of a match.
sed_text() {
    printf '%s' "$2" | sed "s/[\\\\&$1]/\\\\&/g" | tr '\n' '\002'
}

# TEST NAME: the first of that name below an input.
search_input() {
    while IFS= read -r input; do
        if test "$1" "$input/$2"; then
            printf '%s\n' "$input/$2"
            return 0
        fi
    done < "$fruix_all"
    echo "none of the inputs has $2" >&2
    return 1
}

# DIRECTORY SCRIPT: the files below it, a line each, in order. The script of sed's chooses them by name, and takes the whole then.
find_files() {
    if [ -n "$(find "$1" -name "*$fruix_newline*")" ]; then
        echo "a name below $1 has a newline in it; such files can't be listed" >&2
        return 1
    fi
    find "$1" ! -type d | sed -n -E "h;s,.*/,,;$2" | LC_ALL=C sort
}

# COMMAND: the first line of what it prints.
first_of() {
    fruix_found=$("$@") || return
    if [ -z "$fruix_found" ]; then
        echo "none was found: $*" >&2
        return 1
    fi
    printf '%s\n' "${fruix_found%%"$fruix_newline"*}"
}

# [-s] TARGET LINK: fails if something is there. ln(1) would put the link into a directory.
make_link() {
    if [ "$1" = -s ]; then
        refuse_existing "$3" && ln -s -- "$2" "$3"
    else
        refuse_existing "$2" && ln -- "$1" "$2"
    fi
}

refuse_existing() {
    if [ -e "$1" ] || [ -L "$1" ]; then
        echo "$1 exists already" >&2
        return 1
    fi
}

# FILE TARGET: neither is put into a directory.
copy_file() {
    if [ -d "$2" ]; then
        echo "$2 is a directory" >&2
        return 1
    fi
    cp -- "$1" "$2"
}

# OLD NEW: an empty directory gives way to another.
rename_file() {
    if [ -d "$2" ] && [ ! -L "$2" ]; then
        if [ ! -d "$1" ] || [ -L "$1" ]; then
            echo "$2 is a directory" >&2
            return 1
        fi
        rmdir -- "$2" || return
    elif [ -L "$2" ]; then
        rm -- "$2" || return
    fi
    mv -- "$1" "$2"
}

# FILE DIRECTORY
install_file() {
    mkdir -p -- "$2" && copy_file "$1" "$2/${1##*/}"
}

# FILE
delete_tree() {
    rm -rf -- "$1"
}

# OLD NEW: a directory's contents, or a file. Symbolic links stay links.
copy_recursively() {
    if [ -d "$1" ] && [ ! -L "$1" ]; then
        mkdir -p -- "$2" && cp -R -P -- "$1/." "$2"
    else
        cp -P -- "$1" "$2"
    fi
}
