"""Alerts are signed as Standard Webhooks are, and name nobody."""

import orjson
import pytest
from pydantic import SecretStr, ValidationError

from app.audit.alerts import alert_of, signed
from app.settings import Emergency, webhook_key
from tests.unit.audit.records import record

SECRET = SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
QUERY = "subject=token:5&until=2026-01-02T03:34:05Z"


def test_they_are_signed_as_receivers_of_standard_webhooks_expect() -> None:
    headers = signed(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        webhook_key(SECRET),
        1614265330,
    )
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-signature"] == expected
    assert headers["webhook-timestamp"] == "1614265330"


def test_they_tell_identifiers_and_no_reason() -> None:
    begun = record(
        event="110113",
        action="C",
        subtype="110127",
        override=17,
        query=QUERY,
        reason="Doe^Jane does not wake up",
    )
    body = alert_of(begun, "archive")
    assert b"Doe" not in body
    assert orjson.loads(body) == {
        "type": "emergency-override.started",
        "timestamp": "2026-01-02T03:04:05.678901Z",
        "data": {
            "record": "1-7",
            "source": "archive",
            "override": 17,
            "by": "viewer",
            "study_instance_uid": "1.2.3",
            "patient_id": "P1",
            "issuer_of_patient_id": "1.2.40",
            "subject": "token:5",
            "until": "2026-01-02T03:34:05Z",
        },
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook": "https://h.example/alerts"},
        {"webhook": "http://h.example/alerts", "webhook_secret": SECRET},
        {"webhook": "file:///etc", "webhook_secret": SECRET},
        {"webhook_secret": "whsec_"},
        {"webhook_secret": "whsec_" + "A" * 28},
        {"webhook_secret": "whsec_" + "A" * 88},
        {"webhook_secret": "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
        {"webhook_secret": "whsec_not base64 at all, and long"},
        {"webhook_secret": "whsec_ünïcödéünïcödéünïcödéünïcödé"},
    ],
    ids=str,
)
def test_settings_that_do_not_protect_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Emergency.model_validate(wrong)
    Emergency(webhook="https://h.example/alerts", webhook_secret=SECRET)
