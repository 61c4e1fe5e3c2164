"""Bulk loads are streamed: only a piece of the rows is in memory at a time."""

import sqlalchemy as sa

from include.database import _CopyStream, copy_rows


def test_rows_are_made_while_they_are_sent_and_every_one_arrives(db):
    ahead = []
    with db.begin():
        db.execute(sa.text("create temporary table many (n int, words text) on commit drop"))

        def rows():
            for number in range(50_000):
                ahead.append(number)
                yield number, "字" * 20

        assert copy_rows(db, "many", ("n", "words"), rows()) == len(ahead) == 50_000
        told = db.execute(sa.text("select count(*), sum(n), min(words) = max(words) from many")).one()
    assert tuple(told) == (50_000, sum(range(50_000)), True)


def test_a_row_is_cut_between_pieces_at_any_byte():
    lines = [("甲", number) for number in range(100)]
    whole = _CopyStream(lines).read()
    stream = _CopyStream(lines)
    pieces = []
    while piece := stream.read(7):
        assert len(piece) <= 7
        pieces.append(piece)
    assert b"".join(pieces) == whole
    assert stream.rows == 100


def test_only_as_many_rows_are_read_as_a_piece_needs():
    asked = []

    def rows():
        for number in range(1000):
            asked.append(number)
            yield (number,)

    _CopyStream(rows()).read(64)
    assert len(asked) < 40
