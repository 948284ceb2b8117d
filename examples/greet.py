"""A program in C with a Makefile."""

package = Package(
    name="greet",
    version="1.0",
    source=Local("greet"),
    build_system="gnu",
    arguments={"make_flags": ["prefix=$out"], "phases": lambda phases: phases.remove("configure")},
    synopsis="Greeting for whoever is named",
    description="greet says hello to the world, or to whoever is named.",
    license="Apache-2.0",
)
