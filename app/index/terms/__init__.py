"""The index of terms follows the log of changes: what has no column is found by it.

To store costs nothing more for it: `follow` comes along later, and what it has not seen yet is told
by `unindexed`, so that a search still finds what was stored a moment ago.
"""

from app.index.terms.following import follow, partitions
from app.index.terms.unindexed import Unindexed, unindexed

__all__ = [
    "Unindexed",
    "follow",
    "partitions",
    "unindexed",
]
