{ set +x; } 2>/dev/null
command -v strip >/dev/null || return 0
cat > "$fruix/strip" <<'END'
@strip_files.sh@END
set -- @OUTPUTS@
for output; do
    if [ ! -e "$output" ] || [ -L "$output" ]; then continue; fi
    make_writable "$output"
    find "$output" -type f \( -perm -0100 -o -name '*.so*' -o -name '*.a' -o -name '*.o' \) -exec sh "$fruix/strip" {} +
done
