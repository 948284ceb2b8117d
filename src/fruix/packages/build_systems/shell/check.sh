{ set +x; } 2>/dev/null
{
    (
set -x
@COMMAND@
    )
    : > "$fruix/passed"
} 2>&1 | tee "$fruix/check"
count() { grep -v '^\$\$* ' "$fruix/check" | grep -c -E "$1" || :; }
echo "# PASS: $(count @PASSED@)"
echo "# FAIL: $(count @FAILED@)"
[ -e "$fruix/passed" ] || { echo "the test suite failed"; return 1; }
