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
  # With structured attributes: nothing is in the environment but where they are.
  apart = name: attributes: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "${tools}/bin/sh";
    __structuredAttrs = true;
    args = [ "-c" ''
      PATH=${tools}/bin
      out=$(sed -n 's/.*"outputs":{"out":"\([^"]*\)".*/\1/p' $PWD/.attrs.json)
      ${attributes.script}
    '' ];
  } // attributes);
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
  floating = make "floating" "mkdir $out; echo floating > $out/self" { inherit seed; __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; };
  slow = make "slow" "echo begun; sleep 30" { };
  unsandboxed = make "unsandboxed" "echo x > $out" { __noChroot = true; };
  near = make "near" "echo near > $out" { preferLocalBuild = true; };
  structured = apart "structured" { script = "echo \${NIX_ATTRS_SH_FILE##*/}; cat .attrs.sh .attrs.json > $out"; list = [ 1 "two" ]; set = { a = true; b = null; }; };
  big = apart "big" { script = "echo 12345678901234567890 > $out"; outputChecks.out.maxSize = 100; };
  circle = apart "circle" { script = "echo $out > $out"; outputChecks.out.allowedReferences = [ ]; };
  far = apart "far" { script = "echo ${top} > $out"; outputChecks.out.disallowedRequisites = [ low ]; };
  needy = apart "needy" { script = "echo ${low} > $out"; outputChecks.out.allowedRequisites = [ top ]; outputChecks.out.maxClosureSize = 10; };
  fixed = make "fixed" "echo fixed > $out" { outputHashAlgo = "sha256"; outputHashMode = "flat"; outputHash = "0c3071418e6356e614898c84ed064ca95e88551bc0811b534bdf1952ecdae534"; };
  hashed = make "hashed" "echo x > $out" { outputHashAlgo = "sha1"; outputHashMode = "recursive"; outputHash = "0000000000000000000000000000000000000000"; };
  texts = make "texts" "cat graph $textPath > $out" { exportReferencesGraph = [ "graph" low ]; text = "passed"; passAsFile = [ "text" ]; };
  channel = derivation { name = "channel"; system = "builtin"; builder = "builtin:unpack-channel"; channelName = "one"; src = ./channel.tar; };
  self = make "self" "mkdir $out; ln -s $out/file $out/self; echo $out > $out/file" { };
  environment = derivation { name = "environment"; system = builtins.currentSystem; builder = "${tools}/bin/bash"; PATH = "${tools}/bin"; given = "shown"; };
  # For options.sh.
  given = make "given" "cat /given/word /shown/word > $out; test ! -e /nowhere" { inherit seed; };
  special = make "special" "echo special > $out" { requiredSystemFeatures = [ "special" ]; };
  other = make "other" "echo other > $out" { system = "other-system"; };
  impure = make "impure" "echo $SHOWN > $out" { impureEnvVars = [ "SHOWN" ]; outputHashAlgo = "sha256"; outputHash = "af0c1f51110010242d1ffed03ad28e1b6f594e7ade534fe64564e51f23c3b50f"; };
  talkative = make "talkative" "for line in 1 2 3 4; do echo $line; done; exit 1" { };
  endless = make "endless" "while :; do echo 12345678901234567890; done" { };
  twin = make "twin" "echo twin > $out" { };
  others = make "others" "echo twin > $out" { again = true; };
  cores = make "cores" "echo $NIX_BUILD_CORES; echo $NIX_BUILD_CORES > $out" { inherit seed; };
  upon = make "upon" "cat ${floating}/self > $out" { };
}
