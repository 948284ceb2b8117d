# A derivation that needs another one; its builder is a file of the given tools.
{ tools, system, script ? "cat $dep > $out; echo $dep >> $out" }:
let
  PATH = "${tools}/bin";
  make = name: script: more: derivation ({ inherit name system PATH; builder = "${tools}/bin/sh"; args = [ "-c" script ]; } // more);
in make "top" "echo a line of the log; ${script}" { dep = make "dep" "echo dep > $out" { }; }
