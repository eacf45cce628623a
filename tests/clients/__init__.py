"""Clients that others wrote, at a serving archive: `make test-clients`."""
