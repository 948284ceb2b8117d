"""What stays of a build besides its outputs: log, record, durations, counted tests."""
