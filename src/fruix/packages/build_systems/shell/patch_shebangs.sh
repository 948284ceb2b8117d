{ set +x; } 2>/dev/null
[ -n "${fruixRuntime:-}" ] || return 0
cat > "$fruix/shebangs" <<'END'
@patch_shebangs_files.sh@END
: > "$fruix/wrong"
set -- @OUTPUTS@
fruix_own=$(for output; do echo "$output"; done)
export fruix fruix_inputs fruix_own
for output; do
    for directory in "$output/bin" "$output/sbin" "$output/libexec"; do
        if [ ! -d "$directory" ] || [ -L "$directory" ]; then continue; fi
        make_writable "$directory"
        find "$directory" -type f -perm -0100 -exec sh "$fruix/shebangs" {} +
    done
done
[ ! -s "$fruix/wrong" ] || {
    echo "give a package that has these programs among the inputs, such as inputs=[find(\"dash\")], or don't install what needs them"
    return 1
}
