# shellcheck shell=bash
# ~/packages, with what the document builds and asks about; and a server with a repository, in a network without anybody else.

mkdir packages && cp -r "$ROOT/examples/shout" packages/
# So that the library is the bigger one whatever the compiler.
echo 'const char shout_padding[65536] = {1};' >> packages/shout/library/shout.c

cat > packages/version.py <<'.'
package = Package(
    name="version",
    version=1.10,
    build_system="trivial",
    arguments={"script": "echo > $out"},
)
.
cat > packages/user.py <<'.'
package = find("greeting").inherit(name="user")
.
cat > packages/greeting.py <<'.'
package = find("hello").inherit(name="greeting", inputs=["zlib"])
.

serve_hello() {
    git init -q work && echo 'echo hello' > work/hello.sh
    (cd work && git add . && git -c user.name=ada -c user.email=ada@example.org commit -q --date=2024-01-01T00:00:00Z -m hello)
    mkdir files && git clone -q --bare work files/hello.git
    (cd files/hello.git && git update-server-info)
    # Without the look-up of the host's name, which takes seconds in a network without anybody.
    "$PYTHON" -uc 'import functools, http.server, socketserver
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="files")
with socketserver.ThreadingTCPServer(("198.51.100.1", 37153), handler) as server:
    print("Serving")
    server.serve_forever()' > server.log 2>&1 &
    trap 'kill '$!'; rm -rf "$bin"' EXIT
    until grep -qs Serving server.log; do kill -0 $! || return; sleep 0.05; done
}

build_what_fails_its_tests() {
    mkdir tested && cat > tested/Makefile <<'.'
check: # as Automake's: the result of each test is in a file
	@echo 'PASS: hello-0'; echo 'FAIL: hello-1'; echo 'FAIL: traditional-1'
	@for test in hello-1 traditional-1; do echo ':test-result: FAIL' > $$test.trs; done; exit 1
.
    cat > tested.py <<'.'
package = Package(
    name="tested", version="1", source=Local("tested"), arguments={"phases": lambda phases: phases.remove("configure").remove("build")}
)
.
    fruix build -f tested.py
    [ $? = 100 ]
}

write_greeting_to_lint() {
    rm packages/user.py
    export FRUIX_PACKAGE_PATH=$HOME/packages
    cat > packages/greeting.py <<'.'
package = Package(
    name="greeting",
    version="1.1",
    source=Origin(
        urls=["https://github.com/ada/greeting/archive/v1.tar.gz"],
        sha256="0d5f60154382fee10b114a1c34e785d8b1f492073ae2d3a6f7b147687b366aa0",
    ),
    arguments={"tests": False},
    synopsis="The greeting.",
    description="It greets.",
    license="GPL-3.0",
    home_page="https://example.org/greeting",
)
.
}

build_shout() {
    # The stand-in of the catalogue's pkgconf, which would have to be fetched.
    cat > packages/pkgconf.py <<'.'
package = Package(
    name="pkgconf", version="1", build_system="trivial",
    arguments={"script": "mkdir -p $out/bin; echo 'echo -lshout' > $out/bin/pkg-config; chmod +x $out/bin/pkg-config"},
)
.
    sed 's/^library = /package = /; /^program = /,$d' "$ROOT/examples/shout.py" > packages/libshout.py
    { echo 'library = find("libshout")'; sed 's/^program = /package = /; /^library = /,/^)/d; /^packages = /d' "$ROOT/examples/shout.py"; } > packages/shout.py
    fruix build shout
}

greeting() { # WORDS FLAGS: two packages
    mkdir -p packages/greeting
    cat > packages/greeting/configure <<'.'
printf 'all:\ncheck:\ninstall:\n\tmkdir -p %s/bin\n\techo words > %s/bin/greeting\n' "${1#--prefix=}" "${1#--prefix=}" > Makefile
.
    cat > packages/words.py <<.
package = Package(
    name="words",
    version="1.0",
    build_system="trivial",
    arguments={"script": """
mkdir -p \$out/bin
echo 'echo "$1"' > \$out/bin/words
chmod +x \$out/bin/words
"""},
)
.
    cat > packages/greeting.py <<.
package = Package(
    name="greeting",
    version="2.12.3",
    source=Local("greeting"),
    inputs=[find("words")],
    arguments={"configure_flags": [$2]},
)
.
}

build_greeting_and_change_it() {
    greeting 'many words' '"--disable-nls"' && fruix build greeting && greeting 'a few words' '"--disable-nls", "--disable-silent-rules"'
}

cat > loud.c <<'.'
#include <shout.h>
#include <stdio.h>
int main(void) { char text[] = "loud"; shout(text); puts(text); return 0; }
.
