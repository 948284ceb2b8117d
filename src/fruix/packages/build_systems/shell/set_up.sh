# Read by every builder, and by shells that look around in a build.
PS4='$ '
fruix=$NIX_BUILD_TOP/.fruix
mkdir -p "$fruix"

# VARIABLE LIST DIRECTORY...: puts those directories of the inputs in the list that are there before what the variable has already.
search_path() {
    variable=$1 list=$2 found=
    shift 2
    while IFS= read -r input; do
        for directory; do
            place=$input${directory:+/$directory}
            [ ! -d "$place" ] || found=$found${found:+:}$place
        done
    done < "$list"
    eval "found=\$found\${found:+\${$variable:+:}}\${$variable:-}"
    if [ "${#found}" -gt 130000 ]; then short_names; fi
    [ -z "$found" ] || eval "export $variable=\$found"
}

# Linux takes 131072 bytes for a variable: what is longer names links to the directories instead, `$fruix/VARIABLE/NUMBER`.
short_names() {
    rm -rf "$fruix/${variable:?}"
    mkdir "$fruix/$variable"
    printf '%s\n' "$found" | tr : '\n' > "$fruix/$variable.list"
    found='' number=0
    while IFS= read -r place; do
        number=$((number + 1))
        ln -s "$place" "$fruix/$variable/$number"
        found=$found${found:+:}$fruix/$variable/$number
    done < "$fruix/$variable.list"
}
fruix_inputs=${inputsPath:-/dev/null} fruix_all=$fruix/inputs
cat "$fruix_inputs" "${nativeInputsPath:-/dev/null}" > "$fruix_all"
@search_paths.sh@make='make' # GNU's, if it has a name of its own
if command -v gmake >/dev/null; then make='gmake'; fi

# TREE...: whoever builds may change everything in it. What is no file or directory is left alone.
make_writable() {
    for tree; do
        if [ -e "$tree" ] && [ ! -L "$tree" ]; then chmod -R u+rwX "$tree"; fi
    done
}

# FILE OFFSET COUNT: bytes of it in hexadecimal.
bytes() {
    od -A n -v -t x1 -j "$2" -N "$3" "$1" | tr -d ' \t\n'
}

# PHASE: says so. Commands of a phase are shown as they run, but for those of phases that say what they do.
begin_phase() {
    set +x
    fruix_phase=$1
    echo "@ fruix phase $1"
}

# STATUS: what a builder says at its end if it has failed. The command is the last line of the log that begins with `$ `.
say_failure() {
    set +x
    [ "$1" != 0 ] || return 0
    trap - EXIT
    if [ "$fruix_phase" = check ]; then say_failed_tests; fi
    echo "phase $fruix_phase failed with status $1"
    exit "$1"
}

# The names of tests that failed and the end of what they said, as Automake, CTest and Meson leave them behind.
say_failed_tests() {
    find "$NIX_BUILD_TOP" -name test-suite.log -exec sh -c '
        for file; do
            grep -q -E "^(FAIL|ERROR|XPASS)" "$file" || continue
            echo "the end of $file:"
            tail -n 25 "$file"
        done' sh {} +
    failed=$({
        find "$NIX_BUILD_TOP" -name '*.trs' -exec grep -l -E '^:test-result: *(FAIL|ERROR|XPASS)' {} + |
            sed 's,.*/,,; s,\.trs$,,'
        find "$NIX_BUILD_TOP" -name LastTestsFailed.log -exec sed -n 's/^[0-9]*://p' {} +
        find "$NIX_BUILD_TOP" -name testlog.json -exec \
            sed -n '/"result": "\(FAIL\|ERROR\|TIMEOUT\|UNEXPECTEDPASS\)"/s/^{"name": "\([^"]*\)".*/\1/p' {} +
    } 2>/dev/null | sort -u)
    [ -z "$failed" ] || echo "failed tests: $(echo "$failed" | tr '\n' ',' | sed 's/,$//; s/,/, /g')"
}
