"""Files with the same contents are stored once: through hard links in `.links`, or shared data."""
