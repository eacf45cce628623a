"""However a word is spoken, to find its codes is little work."""

import pytest

from app.dicom.phonetic import codes


@pytest.mark.timeout(10)
@pytest.mark.parametrize("word", ["cj" * 16, "jc" * 16])
def test_letters_that_are_spoken_in_two_ways_do_not_double_the_work(word: str) -> None:
    """Each of these words took 20 seconds and 1 GB."""
    assert codes(word) == codes(word[: len(word) // 2])
