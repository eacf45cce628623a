"""What arguments of several commands have in common."""

from typing import Annotated

import typer

MOST_DAYS = 36_500
"""A hundred years: whatever ends, ends within the calendar."""
LARGEST_ID = 2**63 - 1
"""Of a row of the database."""

Partition = Annotated[str, typer.Option(help="The tenant that it is of.")]
