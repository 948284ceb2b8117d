# same.nix: derivations for verbs.sh; `tools` is a directory with Busybox.
{ tools, seed ? "1" }:
let
  make = name: script: more: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "${tools}/bin/sh";
    PATH = "${tools}/bin";
    args = [ "-c" script ];
  } // more);
in rec {
  low = make "low" "echo low; mkdir -p $out/bin; echo '#!/bin/sh' > $out/bin/low; chmod +x $out/bin/low; echo same > $out/file" { };
  many = make "many" "mkdir $out $dev; echo $low/file $out > $out/x; echo same > $dev/file" { inherit low; outputs = [ "out" "dev" ]; };
  top = make "top-1.0" "echo ${low} ${many.dev} > $out; echo line 1; echo line 2" { inherit seed; };
  bad = make "bad" "echo going; echo wrong >&2; exit 3" { };
  above = make "above" "echo ${bad} > $out" { };
  higher = make "higher" "echo ${above} ${missing} > $out" { };
  missing = make "missing" "echo nothing" { };
  wrong = make "wrong" "echo other > $out" { outputHashAlgo = "sha256"; outputHashMode = "flat"; outputHash = "1ixr6yd3297ciyp9im522dfxpqbkhcw0pylkb2aab915278fqaik"; };
  unsteady = make "unsteady" "cat /proc/sys/kernel/random/uuid > $out" { };
  refers = make "refers" "echo ${low} > $out" { disallowedReferences = [ low ]; };
  needs = make "needs" "echo x > $out" { requiredSystemFeatures = [ "no-such-feature" ]; };
  elsewhere = derivation { name = "elsewhere"; system = "no-system"; builder = "/bin/sh"; };
  floating = make "floating" "mkdir $out; echo $out > $out/self" { inherit seed; __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; };
  upon = make "upon" "cat ${floating}/self > $out" { };
}
