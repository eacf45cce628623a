"""How names sound, compared with PostgreSQL's own Daitch-Mokotoff Soundex."""

import random

import asyncpg

from app.dicom.phonetic import codes

NAMES = (
    "meyer maier mayr meier schmidt smith schmitt jackson moskowitz moskovitz peters auerbach"
    " lipschitz lippszyc lewinsky levinski szlamawicz shlamovitz rosochowaciec przemysl christensen"
    " kowalczyk szczepanski zhdanov tchaikovsky wojcik nguyen oconnor jorgensen mueller muller"
    " ceniow tsenyuv holubica golubitsa rosenthal topf gershfeld fuchs zdzislaw quist xavier yvonne"
)
PIECES = (
    "sch ch c s t z sh ts tz d h k g b f p m n mn nm l r a e i o u ei au ia y w".split()  # noqa: SIM905
)


async def test_words_have_the_codes_that_postgresql_gives_them(database_url: str) -> None:
    dice = random.Random(7)
    made = ["".join(dice.choices(PIECES, k=dice.randrange(3, 7))) for _ in range(3000)]
    words = [word for word in (*NAMES.split(), *made) if 3 <= len(word) <= 32]
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("CREATE EXTENSION fuzzystrmatch")
        rows = await connection.fetch(
            "SELECT word, daitch_mokotoff(word) FROM unnest($1::text[]) AS word", words
        )
    finally:
        await connection.close()
    wrong = {
        word: (sorted(codes(word)), sorted(told)) for word, told in rows if codes(word) != set(told)
    }
    assert not wrong, (len(wrong), list(wrong.items())[:20])
