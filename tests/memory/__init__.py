"""What the archive takes of memory when much is asked of it: `make test-memory`."""
