"""Print docs/reference/bad-inputs.md, made from the tables of tests/integration/inputs."""

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby

from tests.integration.inputs.case import Case
from tests.integration.inputs.contents import rows as contents
from tests.integration.inputs.row import Kept, Refused, Row
from tests.integration.inputs.structure import rows as structure
from tests.integration.inputs.test_messages import CASES

HEAD = """\
# Bad inputs

Files and messages that nobody should send, and how they are answered. Each line is a test that
runs with all the others (`make test`) against a serving process over HTTP: {files} files and
{messages} messages, built byte by byte. Each file is sent by itself and, if it is refused, in a
message beside a good one, which is stored all the same. Of what is kept the bytes come back as they
were, the metadata are legal JSON, searches find it, and no frame, rendered image, thumbnail or bulk
value is answered with 5xx. Every answer takes less than 5 seconds of a processor, and lets the
process grow by less than 64 MB.

*Refused* names the Failure Reason; *kept* says whether the answer warns (B007).

| number | input | answer |
| --- | --- | --- |
"""


def render() -> str:
    """The page as Markdown."""
    files = sorted([*structure(), *contents()], key=lambda row: row.number)
    head = HEAD.format(files=len(files), messages=len(CASES))
    cases = sorted(CASES, key=lambda case: case.number)
    messages = ((case.number, case.what, _told(case)) for case in cases)
    return head + "".join(_lines(_of_files(files))) + "".join(_lines(messages))


def _of_files(rows: Iterable[Row]) -> Iterator[tuple[int, str, str]]:
    for row in rows:
        yield row.number, row.what, _answer(row.answer)


def _lines(found: Iterable[tuple[int, str, str]]) -> Iterator[str]:
    """One line for the inputs of a number that follow each other and are answered the same."""
    for (number, answer), same in groupby(found, lambda one: (one[0], one[2])):
        inputs = "; ".join(what for _, what, _ in same).replace("|", "\\|")
        yield f"| {number} | {inputs} | {answer} |\n"


def _answer(answer: Kept | Refused) -> str:
    match answer:
        case Refused(reason):
            return f"refused, {reason:04X}"
        case Kept(warned=None):
            return "kept"
        case Kept(warned=warned):
            return "kept, with a warning" if warned else "kept, without a warning"


def _told(case: Case) -> str:
    """The status, and the Failure Reason if one is all that is told."""
    return ", ".join([str(case.status), *(f"{reason:04X}" for reason in set(case.reasons or ()))])


if __name__ == "__main__":
    sys.stdout.write(render())
