"""Debian's archive as `fruix root` reads it: signed index, packages, what they depend on."""
