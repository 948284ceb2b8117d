{ set +x; } 2>/dev/null
set -- @OUTPUTS@
for output; do
    if [ ! -d "$output" ] || [ -L "$output" ]; then continue; fi
    make_writable "$output"
    find "$output" -name '*.la' -type f -exec rm -f {} +
    rm -f "$output/share/info/dir"
done
