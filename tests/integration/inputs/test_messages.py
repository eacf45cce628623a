"""Every bad message of the list is answered as it says, at once, in little memory."""

import time

import pytest

from tests.integration.inputs import messages, protocol, reads
from tests.integration.inputs.case import Case
from tests.integration.inputs.conftest import Process
from tests.integration.inputs.test_files import (
    FAILED,
    FAILURE_REASON,
    MAY_GROW,
    OTHER_FAILURES,
    SECONDS,
    items_of,
    legal_json,
    value,
)
from tests.raw_http import Answer, RawConnection, request

CASES = [
    *messages.studies(),
    *messages.metadata(),
    *messages.sizes(),
    *messages.messages(),
    *messages.types(),
    *protocol.cases(),
    *reads.answers(),
    *reads.queries(),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_message_is_answered_as_listed(case: Case, process: Process) -> None:
    data = case.make(process.token)
    before, begin, used = process.memory(), time.monotonic(), process.seconds()
    with RawConnection(process.server.url, seconds=20) as connection:
        connection.send(data)
        answer = connection.receive()
    assert answer.status == case.status, (answer.status, answer.body[:500])
    assert process.seconds() - used < SECONDS
    assert time.monotonic() - begin < 4 * SECONDS
    assert process.peak() - before < MAY_GROW
    if case.reasons is not None:
        assert reasons(answer) == case.reasons
    assert is_served(process)


def reasons(answer: Answer) -> list[int]:
    """The Failure Reasons in the answer to a store."""
    module = legal_json(answer.body)
    failed = items_of(module, FAILED) + items_of(module, OTHER_FAILURES)
    return [value(item, FAILURE_REASON) for item in failed]


def is_served(process: Process) -> bool:
    """Whether others are still answered."""
    with RawConnection(process.server.url) as connection:
        connection.send(request("GET", "/dicomweb/studies?limit=1", token=process.token))
        return connection.receive().status == 200
