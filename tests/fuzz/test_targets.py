"""Each target holds for its seeds and for what they become when bytes of them change."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.seeds import SEEDS
from tests.fuzz.targets import TARGETS

EXAMPLES = 60
_INTERESTING = st.sampled_from(
    [b"", b"\0", b"\xff" * 4, b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0", b"SQ\0\0", b"\\", b"\r\n",
     b"--b", b'"', b",", b";", b"=", b"-", b"[", b"{", b"NaN", b"1e999", b"\x1b$B", b"\xed\xa0\x80"]
)  # fmt: skip
_CHANGES = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 8), _INTERESTING | st.binary(max_size=8)), max_size=4
)


def changed(seed: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    """The seed with some bytes replaced, at places given as fractions of it."""
    for place, removed, added in changes:
        at = int(place * len(seed))
        seed = seed[:at] + added + seed[at + removed :]
    return seed


def test_every_target_has_seeds() -> None:
    assert SEEDS.keys() == TARGETS.keys()


@pytest.mark.parametrize("name", TARGETS)
def test_it_holds_for_mutations(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(st.sampled_from(SEEDS[name]), _CHANGES)
    def holds(seed: bytes, changes: list[tuple[float, int, bytes]]) -> None:
        target(changed(seed, changes))

    for seed in SEEDS[name]:
        target(seed)
    holds()


@pytest.mark.parametrize("name", TARGETS)
def test_it_holds_for_cut_seeds(name: str) -> None:
    for seed in SEEDS[name]:
        for length in range(0, len(seed), 1 + len(seed) // 60):
            TARGETS[name](seed[:length])
