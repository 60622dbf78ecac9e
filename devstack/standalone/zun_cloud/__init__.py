"""One real OpenStack cloud on one machine, for development and tests."""
