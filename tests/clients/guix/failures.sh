# failures.sh GUIX DERIVATION: one that fails, with a daemon that remembers failures.
guix=$1 drv=$2
say() {
    echo "\$ guix $*"
    "$guix" "$@" 2>&1 </dev/null
    echo "status $?"
}
say gc --list-failures
say build "$drv"
say build "$drv"
say build -n "$drv"
say gc --list-failures
# One item with line feeds in it, which is no path.
say gc --clear-failures "$("$guix" gc --list-failures)"
say gc --clear-failures /frx/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-absent
say gc --list-failures
say build -v3 "$drv"
for out in $("$guix" gc --list-failures); do
    say gc --clear-failures "$out"
done
say gc --list-failures
say build -K --check "$drv"
"$guix" build -K "$drv" >/frx/kept 2>&1
echo "status $?"
cat /frx/kept
kept=$(sed -n 's/^note: keeping build directory .\(.*\)./\1/p' /frx/kept)
(cd "$kept"* && find . -name kept -exec cat {} +)
say build -k "$drv" "$drv"
say build --log-file "$drv"
say build --quiet "$drv"
