"""Base names of store paths, for those that can afford to import next to nothing; see `model.storepath`."""

DEFAULT_STORE = "/frx/store"
HASH_PART_SIZE = 32
MAX_NAME_SIZE = 211
_HASH = frozenset("0123456789abcdfghijklmnpqrsvwxyz")
_NAME = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+-._?=")


def is_base_name(text: str) -> bool:
    """Whether a text is a well-formed base name: hash part, dash, name."""
    hash_part, dash, name = text[:HASH_PART_SIZE], text[HASH_PART_SIZE:][:1], text[HASH_PART_SIZE + 1 :]
    return (
        len(hash_part) == HASH_PART_SIZE
        and dash == "-"
        and 0 < len(name) <= MAX_NAME_SIZE
        and name[0] != "."
        and _HASH.issuperset(hash_part)
        and _NAME.issuperset(name)
    )
