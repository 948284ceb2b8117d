# EXPRESSION... -- FILE...: Guix's substitute*. Its lines end in a newline that patterns can match: here a character with code 2.
substitute() {
    : > "$fruix/expressions"
    while [ "$1" != -- ]; do
        printf '%s\n' "$2" >> "$fruix/expressions"
        shift 2
    done
    shift
    for fruix_changed; do
        [ -w "$fruix_changed" ] || chmod u+w "$fruix_changed"
        sed "s/\$/$(printf '\002')/" "$fruix_changed" | sed -E -f "$fruix/expressions" |
            tr -d '\n' | tr '\002' '\n' > "$fruix/changed"
        touch -r "$fruix_changed" "$fruix/time"
        cat "$fruix/changed" > "$fruix_changed"
        touch -r "$fruix/time" "$fruix_changed"
    done
}
# TEST NAME: the first of that name below an input.
search_input() {
    cat "$fruix_all" | while IFS= read -r input; do
        if [ "$1" "$input/$2" ]; then echo "$input/$2"; break; fi
    done
}
