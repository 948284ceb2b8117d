{ set +x; } 2>/dev/null
for file in $patches; do
    echo "applying ${file##*/}"
    patch -p1 -f -F "${patchFuzz:-0}" -b -z .fruix-orig < "$file" || {
        echo "patch: ${file#"$NIX_STORE"/*-} does not fit the source: make it anew (or, if its context may differ, Origin(fuzz=2))"
        exit 1
    }
done
find . -name '*.fruix-orig' -exec rm -f {} +
