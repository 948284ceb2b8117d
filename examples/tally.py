"""A Python package with a program, built by the backend that its pyproject.toml names."""

package = Package(
    name="tally",
    version="1.0",
    source=Local("tally"),
    build_system="python",
    host_view="base+python",  # its program is run by the host's Python
    arguments={"check_command": "python3 -m unittest discover -v -s tests"},
    native_inputs=[find("flit-core")],
    synopsis="Counter of the words in a text",
    description="tally counts the words of a text on standard input, the most frequent first.",
    license="Apache-2.0",
)
