"""The simulated branches: those of the landing files, in a tree that leads to the head office."""

import sqlalchemy as sa

from include.simulator.staff import hire
from include.simulator.staff.branches import HEAD, branches


def test_every_branch_leads_to_the_head_office():
    above = {row["branch_code"]: row["parent_code"] for row in branches()}
    assert len(above) == 1 + 17 + 17 * 6
    for code in above:
        line = [code]
        while above[line[-1]] is not None:
            line.append(above[line[-1]])
        assert line[-1] == HEAD


def test_simulated_people_serve_the_whole_province_and_hired_twice_is_hired_once(db):
    for _ in range(2):
        hire(db)
    with db.begin():
        told = db.execute(
            sa.text(
                "select count(*), count(*) filter (where branch_code = any(branch_line('R17-B06'))),"
                " (select count(*) from branches) from staff"
            )
        ).one()
    assert told[0] == told[1] and told[2] == 120
