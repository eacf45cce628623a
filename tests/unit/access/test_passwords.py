"""A password is kept as what only it leads to, and never in the same way twice."""

from app.access import passwords


def test_only_the_password_fits() -> None:
    kept = passwords.derived("correct horse")
    assert passwords.fits("correct horse", kept)
    assert not passwords.fits("correct horsf", kept)
    assert not passwords.fits("", kept)
    assert not passwords.fits("x" * (passwords.LONGEST + 1), kept)


def test_the_same_password_is_kept_differently_each_time() -> None:
    one, two = passwords.derived("correct horse"), passwords.derived("correct horse")
    assert one != two
    assert b"correct" not in one
    assert len(one) == passwords.SALT_BYTES + 32
