"""What stays of a build besides its outputs: log, record, counted tests, the course of a round."""
