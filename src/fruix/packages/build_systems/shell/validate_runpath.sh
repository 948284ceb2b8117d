{ set +x; } 2>/dev/null
# In a root: who compiles with a library is led nowhere but into the store.
if [ -n "${fruixRuntime:-}" ]; then
    outside="(usr|bin|sbin|lib|lib32|lib64|libx32|opt|${NIX_BUILD_TOP#/})"
    set -- @OUTPUTS@
    for output; do
        if [ ! -d "$output" ] || [ -L "$output" ]; then continue; fi
        find "$output" -name '*.pc' -type f -exec \
            grep -H -E '^([^#]*[=:,"[:space:]]|[^#]*[=,"[:space:]]-[A-Za-z]+)?/'"$outside"'([/",:[:space:]]|$)' {} +
    done > "$fruix/outside" || :
    if [ -s "$fruix/outside" ]; then
        cat "$fruix/outside"
        echo "the lines above lead pkg-config out of the store: give the package's configuration directories of its own or of inputs"
        return 1
    fi
fi
command -v readelf >/dev/null || { echo "this view has no readelf: run paths are not checked"; return 0; }
cat > "$fruix/validate" <<'END'
@validate_runpath_files.sh@END
: > "$fruix/checked"
: > "$fruix/wrong"
# In a root nothing of the host is there when the program runs.
fruix_host=$([ -n "${fruixLoader:-}" ] || for place in /lib /usr/lib /lib64 /usr/lib64 /usr/local/lib /lib/*-linux-* /usr/lib/*-linux-*; do echo "$place"; done)
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
