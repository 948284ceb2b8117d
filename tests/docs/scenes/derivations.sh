# shellcheck shell=bash
# Derivations that can't be built for what they declare, made by nix-instantiate; their builder is busybox.

restart_daemon 'system-features = ["benchmark", "big-parallel", "nixos-test"]'
export NIX_REMOTE=unix:///frx/var/fruix/daemon-socket/socket NIX_STORE_DIR=/frx/store NIX_CONF_DIR=$PWD
: > nix.conf
mkdir -p busybox/bin && cp /bin/busybox busybox/bin/
for applet in sh mkdir cp head; do ln -s busybox busybox/bin/$applet; done

cat > all.nix <<.
let
  bin = "\${./busybox}/bin";
  make = name: script: more: derivation ({
    inherit name;
    system = "$(uname -m)-linux";
    builder = "\${bin}/sh";
    args = [ "-c" "export PATH=\${bin}; \${script}" ];
  } // more);
  out = builtins.placeholder "out";
in rec {
  structured = make "structured" "cp \$NIX_ATTRS_SH_FILE \${out}" {
    __structuredAttrs = true;
    debug = false;
    flags = [ "-O2" "it's" ];
    jobs = 4;
    paths = { prefix = out; };
  };
  split = make "split-1.0" "mkdir -p \$out/bin \$lib; echo \$lib > \$out/bin/tool; echo \$out > \$lib/back" { outputs = [ "out" "lib" ]; };
  zlib = make "zlib-1.3" "echo zlib > \$out" { };
  libpng = make "libpng-1.6" "mkdir \$out; echo \${zlib} > \$out/needs" { };
  viewer = make "viewer-2.0" "mkdir -p \$out/share; echo \${libpng} > \$out/share/viewer.pc" { disallowedRequisites = zlib; };
  small = make "small-1.0" "mkdir \${out}; echo \${libpng} > \${out}/needs; head -c 5000 /dev/zero > \${out}/data" {
    __structuredAttrs = true;
    outputChecks.out.maxClosureSize = 4096;
  };
  fetched = make "fetched" "echo hello > \$out" {
    outputHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    outputHashAlgo = "sha256";
    outputHashMode = "flat";
  };
  demanding = make "demanding" "echo > \$out" { requiredSystemFeatures = [ "big-parallel" "gpu" "kvm" ]; };
}
.

instantiated() { # NAME: its derivation
    nix-instantiate all.nix -A "$1" 2> instantiate.log || cat instantiate.log
}

reason() { # NAME: why it can't be built, without the indentation of the message around it
    fruix build "$(instantiated "$1")" > failure 2>&1
    sed -n '/^  /s/^  //p' failure
}

attributes() {
    grep -E ' (debug|flags|jobs|outputs|paths)=' "$(fruix build "$(instantiated structured)" 2> failure || cat failure)"
}
