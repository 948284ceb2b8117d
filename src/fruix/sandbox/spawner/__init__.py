"""The process that forks builders: its client in the daemon, and itself (`server`)."""
