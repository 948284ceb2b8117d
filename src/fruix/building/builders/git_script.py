"""How a commit's tree is fetched by `git`: a shell script, for the daemon's builder and for `fruix prefetch`.

Its arguments are the URLs, tried in order; `HOME` is a directory of its own in which it starts.

| variable | |
|---|---|
| `commit` | or the name of a tag |
| `recursive` | not empty: with submodules |
| `longest` | no file may be longer (units of 512 bytes); empty: any may |
| `out` | where the tree will be, without any `.git` |
"""

from __future__ import annotations

SCHEMES = ("http", "https", "git")

# Nobody's configuration is used, nobody is asked, and `SCHEMES` alone are spoken, by submodules too.
VARIABLES = {
    "LC_ALL": "C",
    "GIT_ALLOW_PROTOCOL": ":".join(SCHEMES),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
}

# A server may refuse to give a commit that no branch ends with, or to give less than everything: then
# all is fetched. Submodules whose addresses are relative follow that of `origin`. `file:` URLs are those
# of repositories that the daemon shows, which belong to others.
SCRIPT = r"""set -u
export GIT_CONFIG_GLOBAL="$HOME/gitconfig"
printf '[core]\n\tautocrlf = false\n[safe]\n\tdirectory = *\n' > "$GIT_CONFIG_GLOBAL"
[ -z "$longest" ] || ulimit -f "$longest"
fetch() {
    (
        case $url in file:*) GIT_ALLOW_PROTOCOL=file ;; esac
        git -C source fetch -q "$@"
    )
}
take() {
    rm -rf source
    git init -q --template= source && git -C source remote add origin "$url" || return 1
    if fetch --depth 1 origin "$commit"; then
        found=FETCH_HEAD
    else
        fetch origin '+refs/*:refs/fetched/*' || return 1
        for name in "$commit" "refs/fetched/tags/$commit" "refs/fetched/heads/$commit"; do
            found="$(git -C source rev-parse -q --verify "$name^{commit}")" && break
        done
        if [ -z "$found" ]; then echo "$url: there is no commit $commit"; return 1; fi
    fi
    git -C source -c advice.detachedHead=false checkout -q --detach "$found" || return 1
    [ -z "$recursive" ] || git -C source submodule --quiet update --init --recursive
}
for url in "$@"; do
    echo "fetching $commit from $url"
    if take; then
        find source -name .git -prune -exec rm -rf {} + && mv source "$out"
        exit
    fi
done
echo "none of $# URL(s) gave the commit $commit"
exit 1
"""
