# offered.sh GUIX PATH DERIVATION: a path that the store has lost, and a server offers (the daemon's setting).
guix=$1 path=$2 drv=$3
say() {
    echo "\$ guix $*"
    "$guix" "$@" 2>&1 </dev/null
    echo "status $?"
}
say gc -D "$path"
say build -n "$drv"
say build -n --no-substitutes "$drv"
say build -n "$path"
say build -n --no-substitutes "$path"
say build "$path"
say build -n "$path"
say gc --references "$path"
say gc -D "$path"
say build --no-substitutes "$path"
say build --substitute-urls=file:///frx/nowhere "$drv"
say gc -D "$path"
say build -n --substitute-urls=file:///frx/nowhere "$drv"
say build "$drv"
say gc -D "$path"
