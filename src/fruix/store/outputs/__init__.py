"""Taking what a builder made into the store: canonical metadata, references, staging until it is registered."""
