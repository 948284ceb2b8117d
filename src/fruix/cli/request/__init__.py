"""From what people write on the command line to what the store is asked for."""
