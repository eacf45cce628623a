"""kill -9 at every point of a store: nothing acknowledged is lost, and nothing is half there."""

import random

import pytest

from app.faults import Point
from tests.faults.conftest import S3Stage
from tests.faults.history import requests_of
from tests.faults.trial import Stage, trial

TIMES = {Point.HEADERS_READ: 3, Point.IN_A_PART: 4, Point.RECEIVED: 5, Point.IN_ANSWER: 5}
"""Which time it is, where the first one would be too early to have stored anything."""
STORING = [point for point in Point if point.value[0] in "FD"]


@pytest.mark.parametrize("point", STORING)
async def test_of_the_server(stage: Stage, point: Point) -> None:
    chance = random.Random(point)
    result = await trial(stage, requests_of(chance), fault=f"{point}:kill:{TIMES.get(point, 2)}")
    assert result.met, "the point was not reached"
    assert result.acknowledged < result.sent


@pytest.mark.parametrize("point", [Point.IN_PUT, Point.AFTER_PUT, Point.IN_TRANSACTION])
async def test_of_the_server_before_an_object_store(s3_stage: S3Stage, point: Point) -> None:
    requests = requests_of(random.Random(point), large=9_000_000)
    result = await trial(s3_stage.stage, requests, fault=f"{point}:kill:1")
    assert result.met, "the point was not reached"
