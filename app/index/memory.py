"""How much memory there is, and what the embedded PostgreSQL takes of it to keep pages in."""

import os
from pathlib import Path

LIMIT = Path("/sys/fs/cgroup/memory.max")
"""What a container may have (cgroup v2): a number of bytes, or `max`."""
SMALLEST, LARGEST = 128, 1024
"""Of the buffers, in MiB. PostgreSQL's own default, and where the index of a large archive fits."""
SHARE = 8
"""They take one part in so many: all else here needs memory too, the cache of files most of it."""


def memory_bytes() -> int:
    """What this process and its children can have at most."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = LIMIT.read_text().strip()
    except OSError:
        return machine
    return min(machine, int(limit)) if limit.isdecimal() else machine


def buffer_megabytes() -> int:
    """MiB for the buffers that the processes of PostgreSQL share."""
    return min(max(memory_bytes() // SHARE >> 20, SMALLEST), LARGEST)
