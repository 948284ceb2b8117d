"""A library in C, and a program on it that finds it by pkg-config when it is built, and by its run path when it runs."""

without_configure = {
    "make_flags": ["prefix=$out"],
    "phases": lambda phases: phases.remove("configure"),
}

library = Package(
    name="libshout",
    version="1.0",
    source=Local("shout/library"),
    build_system="gnu",
    arguments=without_configure,
    synopsis="Library that makes texts loud",
    description="libshout makes the letters of a text capitals.",
    license="Apache-2.0",
)

program = Package(
    name="shout",
    version="1.0",
    source=Local("shout/program"),
    build_system="gnu",
    arguments=without_configure,
    inputs=[library],
    native_inputs=[find("pkgconf")],
    synopsis="Program that prints its arguments loudly",
    description="shout prints its arguments in capitals, by libshout.",
    license="Apache-2.0",
)

packages = [library, program]
