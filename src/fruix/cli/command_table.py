"""The table of commands: where each is, and what it does in a line.

A command is a module of `cli.commands` with two functions: `configure(parser)` adds its arguments,
`run(options)` does it and returns the exit status. Errors are raised, as subclasses of
`FruixError`.
"""

from __future__ import annotations

# name: (module, one line of help)
COMMANDS: dict[str, tuple[str, str]] = {
    "build": ("fruix.cli.commands.build", "build packages or derivations"),
    "copy": ("fruix.cli.commands.copy", "copy paths between two stores"),
    "daemon": ("fruix.cli.commands.daemon", "run the build daemon"),
    "doctor": ("fruix.cli.commands.doctor", "say what this machine can isolate, and what it lacks"),
    "edit": ("fruix.cli.commands.edit", "open a package's definition in the editor"),
    "enter": ("fruix.cli.commands.enter", "a shell in the sandbox of a derivation"),
    "export": ("fruix.cli.commands.export", "write paths of the store as one stream"),
    "gc": ("fruix.cli.commands.gc", "delete what nothing keeps alive, or say why it is kept"),
    "graph": ("fruix.cli.commands.graph", "draw what depends on what"),
    "guile-path": ("fruix.cli.commands.guile_path", "print where the modules for Guix's clients are"),
    "guix-daemon": ("fruix.cli.commands.guix_daemon", "run the build daemon with Guix's own options"),
    "hash": ("fruix.cli.commands.hash", "print the hash that a definition wants of a file or directory"),
    "help": ("fruix.cli.commands.help", "describe a command"),
    "import": ("fruix.cli.commands.import_stream", "add what an export stream holds"),
    "key": ("fruix.cli.commands.key", "make and convert keys that sign"),
    "lint": ("fruix.cli.commands.lint", "check package definitions"),
    "log": ("fruix.cli.commands.log", "print the log of a build"),
    "nix-daemon": ("fruix.cli.commands.nix_daemon", "run the build daemon with Nix's own configuration"),
    "packages": ("fruix.cli.commands.packages", "list the packages of the catalogue"),
    "prefetch": ("fruix.cli.commands.prefetch", "fetch a source, and print what a definition says of it"),
    "ps": ("fruix.cli.commands.ps", "list the builds that run or wait, of all clients"),
    "root": ("fruix.cli.commands.root", "show and renew the pinned roots in which packages are built"),
    "run": ("fruix.cli.commands.run", "run a package's program"),
    "search": ("fruix.cli.commands.search", "find packages by what they are for"),
    "serve": ("fruix.cli.commands.serve", "serve a client of Nix's behind 'ssh://'"),
    "shell": ("fruix.cli.commands.shell", "start a shell, or a command, in which packages are found"),
    "show": ("fruix.cli.commands.show", "describe a package or a derivation"),
    "size": ("fruix.cli.commands.size", "say what packages take on disk with all that they need"),
    "store": ("fruix.cli.commands.store", "add to, read and query the store"),
    "view": ("fruix.cli.commands.view", "show what of the host builds may see, and what of it changed"),
    "why-rebuild": (
        "fruix.cli.commands.why_rebuild",
        "say what differs between two derivations of a package",
    ),
    "why": ("fruix.cli.commands.why", "say by which way one package needs another"),
}
