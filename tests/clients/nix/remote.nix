# A derivation that needs another one; its builder is a file of the given tools.
{ tools, system, script ? "cat $dep > $out; echo $dep >> $out", addressed ? false }:
let
  PATH = "${tools}/bin";
  contents = if addressed then { __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; } else { };
  make = name: script: more: derivation ({ inherit name system PATH; builder = "${tools}/bin/sh"; args = [ "-c" script ]; } // contents // more);
in make "top" "echo a line of the log; ${script}" { dep = make "dep" "echo dep > $out" { }; }
