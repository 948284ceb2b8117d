{ set +x; } 2>/dev/null
if [ -d "$out" ] && [ ! -L "$out" ]; then
    make_writable "$out"
    mkdir -p "$out/share/doc/$pname"
    echo "$source" > "$out/share/doc/$pname/source"
fi
