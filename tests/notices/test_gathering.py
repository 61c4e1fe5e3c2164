"""One digest per person, nothing off shift, and nobody's absence swallows a notice."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from include.domain.periods.months import ZONE
from include.notices.gathering import gather, gather_alarms
from include.notices.texts import masked
from tests.fixtures.renewal import RENEWAL, with_renewal
from tests.notices.conftest import MONDAY, quickly, warned

HOUR = timedelta(hours=1)


@pytest.fixture
def told(db):
    """Everything gathered so far: (person, subject, body, how many notices, severity)."""

    def read():
        with db.begin():
            statement = (
                "select staff_id, subject, body, notices, severity, channel from messages order by message_id"
            )
            return db.execute(sa.text(statement)).all()

    return read


def change(db, statement, **values):
    with db.begin():
        db.execute(sa.text(statement), values)


def ungathered(db):
    with db.begin():
        return db.execute(sa.text("select count(*) from notices where gathered_at is null")).scalar_one()


def test_a_person_gets_one_digest_of_all_notices(db, config, notices, people, tickets, write, told):
    for ticket in tickets[:3]:
        write("clock_warned", "assignee", people.agent, ticket, **warned(ticket))
    write("clock_warned", "assignee", people.colleague, tickets[3], **warned(tickets[3]))
    assert gather(db, config, notices, MONDAY) == 2
    mine = told()[0]
    assert (mine.staff_id, mine.notices, mine.severity) == (people.agent, 3, "page")
    assert f"工单 {tickets[0]}：需求调查和挽留方案将于 2026-11-11 18:00 到期" in mine.body
    assert f"Ticket {tickets[2]}: Needs survey and retention plan is due at 2026-11-11 18:00." in mine.body
    assert gather(db, config, notices, MONDAY) == 0


def test_the_next_digest_waits_for_the_gap(db, config, notices, people, tickets, write, told):
    for minutes, expected in ((0, 1), (15, 1), (60, 2)):
        write("clock_warned", "assignee", people.agent, tickets[0], **warned(tickets[0]))
        gather(db, config, notices, MONDAY + timedelta(minutes=minutes))
        assert len(told()) == expected
    assert told()[1].notices == 2


@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 11, 9, 8, 59, tzinfo=ZONE),
        datetime(2026, 11, 9, 18, 1, tzinfo=ZONE),
        datetime(2026, 11, 8, 10, tzinfo=ZONE),  # a Sunday
        datetime(2026, 10, 2, 10, tzinfo=ZONE),  # a holiday
    ],
)
def test_nobody_is_told_off_shift(db, config, notices, people, tickets, write, now):
    write("clock_breached", "assignee", people.agent, tickets[0], **warned(tickets[0]))
    assert gather(db, config, notices, now) == 0
    assert ungathered(db) == 1


def test_a_make_up_sunday_is_on_shift(db, config, notices, people, tickets, write):
    write("clock_breached", "assignee", people.agent, tickets[0], **warned(tickets[0]))
    assert gather(db, config, notices, datetime(2026, 9, 20, 10, tzinfo=ZONE)) == 1


def test_who_is_on_the_roster_of_a_rest_day_is_told_then(db, config, notices, people, tickets, write, told):
    sunday = datetime(2026, 11, 8, 10, tzinfo=ZONE)
    change(db, "insert into shifts (staff_id, day) values (:s, '2026-11-08')", s=people.agent)
    for staff in (people.agent, people.colleague):
        write("clock_warned", "assignee", staff, tickets[0], **warned(tickets[0]))
    gather(db, config, notices, sunday)
    assert [row.staff_id for row in told()] == [people.agent]


@pytest.mark.parametrize(
    "absence",
    [
        "update staff set is_active = false where staff_id = :s",
        "update staff set is_present = false where staff_id = :s",
        "insert into absences (staff_id, from_on, until_on, recorded_at, recorded_by)"
        " values (:s, '2026-11-09', '2026-11-13', '2026-11-01', 'lead')",
    ],
)
def test_what_an_absent_assignee_should_know_is_told_to_the_lead(
    db, config, notices, people, tickets, write, told, absence
):
    write("clock_breached", "assignee", people.agent, tickets[0], **warned(tickets[0]))
    change(db, absence, s=people.agent)
    gather(db, config, notices, MONDAY)
    assert [row.staff_id for row in told()] == [people.lead]


def test_without_a_lead_the_manager_of_the_branch_is_told_not_another_one(
    db, config, notices, people, tickets, write, told
):
    change(db, "insert into branches (branch_code, name) values ('45', '广西'), ('44', '广东')")
    change(db, "insert into branches (branch_code, parent_code, name) values ('4501', '45', '南宁')")
    change(db, "update staff set branch_code = '45' where staff_id = :s", s=people.manager)
    change(
        db,
        "insert into staff (staff_code, name, role, team, branch_code, contacts_per_day)"
        " values ('other', 'other', 'manager', 'mid_high', '44', 0)",
    )
    change(db, "update tickets set branch_code = '4501'")
    change(db, "update staff set is_present = false where staff_id = :s", s=people.lead)
    write("clock_breached", "lead", None, tickets[0], **warned(tickets[0]))
    gather(db, config, notices, MONDAY)
    assert [row.staff_id for row in told()] == [people.manager]


def test_without_anybody_a_notice_waits(db, config, notices, people, tickets, write):
    change(db, "update staff set is_present = false")
    write("clock_breached", "branch_manager", None, tickets[0], **warned(tickets[0]))
    assert (gather(db, config, notices, MONDAY), ungathered(db)) == (0, 1)
    change(db, "update staff set is_present = true")
    assert (gather(db, config, notices, MONDAY + HOUR), ungathered(db)) == (1, 0)


def test_a_long_digest_is_cut_and_says_so(db, config, notices, people, tickets, write, told):
    for _ in range(5):
        write("clock_warned", "assignee", people.agent, tickets[0], **warned(tickets[0]))
    gather(db, config, quickly(notices, digest_lines=2), MONDAY)
    assert "… and 3 more; see the queue." in told()[0].body
    assert "另有 3 条" in told()[0].body


def test_a_warning_of_a_clock_met_meanwhile_is_told_to_nobody(
    db, config, notices, people, tickets, write, told
):
    for ticket in tickets[:2]:
        write("clock_warned", "assignee", people.agent, ticket, **warned(ticket))
    change(
        db, "update ticket_clocks set met_at = due_at where ticket_id = :t and clock = 'plan'", t=tickets[0]
    )
    gather(db, config, notices, MONDAY)
    assert [row.notices for row in told()] == [1]
    assert (told()[0].subject.split("：")[0], ungathered(db)) == ("agent", 0)


# ------------------------------------------------------------ operations


def test_who_works_a_ticket_is_told_at_once_that_it_was_taken_away_frozen_or_let_go_on(
    db, config, notices, people, tickets, write, told
):
    write("ticket_cancelled", "assignee", people.agent, tickets[0], reason="refused")
    write("ticket_frozen", "assignee", people.agent, tickets[0], reason="port_out_applied")
    write("ticket_unfrozen", "assignee", people.agent, tickets[0])
    gather(db, config, notices, MONDAY)
    (mine,) = told()
    assert (mine.staff_id, mine.notices, mine.severity) == (people.agent, 3, "page")
    for words in (
        f"工单 {tickets[0]} 已取消：客户拒绝联系。",
        f"Ticket {tickets[0]} was cancelled: the customer refuses contact. Do not contact",
        "已冻结：客户已申请携号转网。",
        "is frozen: the subscriber has applied to port out.",
        "已解冻",
        "is no longer frozen",
    ):
        assert words in mine.body


def test_operations_are_paged_at_any_hour(db, config, notices, write, told):
    write("stage_failed", "operations", where="grading", why="no scores", link="http://x")
    assert gather_alarms(db, notices, datetime(2026, 11, 8, 3, tzinfo=ZONE)) == 1
    assert (told()[0].channel, told()[0].severity) == ("operations", "page")
    assert "任务 grading 失败：no scores" in told()[0].body
    assert "http://x" in told()[0].body


def test_what_can_wait_comes_with_the_next_mornings_mail(db, config, notices, write, told):
    late = datetime(2026, 11, 9, 11, tzinfo=ZONE)
    write("drift", "operations", created_at=late, what="scores", why="psi 0.31", link="")
    for now, expected in ((late, 0), (late + 12 * HOUR, 0), (late + 21 * HOUR, 0), (late + 22 * HOUR, 1)):
        gather(db, config, notices, now)
        assert len(told()) == expected, now
    assert told()[0].severity == "morning_mail"


def test_a_kind_told_to_nobody_is_kept_and_no_more(db, config, notices, people, tickets, write, told):
    kinds = notices.kinds | {
        "clock_warned": notices.kinds["clock_warned"].model_copy(update={"tell": "none"})
    }
    write("clock_warned", "assignee", people.agent, tickets[0], **warned(tickets[0]))
    gather(db, config, quickly(notices, kinds=kinds), MONDAY)
    assert (told(), ungathered(db)) == ([], 0)


@pytest.mark.parametrize("number", ["13912345678", "+8613912345678", "号码13912345678，", "139 1234 5678"])
def test_no_phone_number_leaves_the_house(db, config, notices, write, told, number):
    write("stage_failed", "operations", where="grading", why=f"row {number} is broken.", link="")
    gather_alarms(db, notices, MONDAY)
    body = told()[0].body
    assert "139****5678" in body.replace("86139", "139")
    assert "1234" not in body


def test_a_number_beside_a_digit_of_another_script_is_masked_too():
    assert masked("５13800138000") == "５138****8000"


def test_the_database_refuses_a_phone_number_that_slipped_through(db):
    with pytest.raises(sa.exc.IntegrityError), db.begin():
        db.execute(
            sa.text(
                "insert into messages (dedupe_key, channel, severity, subject, body, notices, created_at,"
                " next_attempt_at) values ('x', 'operations', 'page', 's', 'call 13912345678', 1, :now, :now)"
            ),
            {"now": MONDAY},
        )


def test_a_task_that_is_overdue_is_told_once(db, config, notices, people, tickets, told):
    from include.stages import sla

    change(
        db,
        "insert into linked_tasks (ticket_id, unit, words, opened_at, opened_by, due_at, is_provisional)"
        " values (:t, 'network', 'no signal', '2026-11-06 09:00+08', :s, '2026-11-09 09:30+08', false)",
        t=tickets[0],
        s=people.agent,
    )
    assert sla.watch(db=db, config=config, now=MONDAY)["overdue"] == 1
    assert sla.watch(db=db, config=config, now=MONDAY + HOUR)["overdue"] == 0
    gather(db, config, notices, MONDAY)
    assert "Ticket" in told()[0].body
    assert "the task of network was due at 2026-11-09 09:30" in told()[0].body


def test_a_clock_has_the_words_of_its_campaign_and_one_nobody_names_shows_as_it_came(
    db, config, notices, people, tickets, write, told
):
    change(db, "update tickets set campaign = :renewal where ticket_id = :t", renewal=RENEWAL, t=tickets[0])
    for ticket, clock in ((tickets[0], "talk"), (tickets[0], "gone_clock"), (tickets[1], "talk")):
        write("clock_breached", "assignee", people.agent, ticket, **warned(ticket) | {"clock": clock})
    moved = {
        "clock": "talk",
        "old_due_at": "2026-11-11T10:00:00+00:00",
        "new_due_at": "2026-11-12T10:00:00+00:00",
    }
    write("deadline_moved", "assignee", people.agent, tickets[0], clocks=[moved])
    assert gather(db, with_renewal(config), quickly(notices, kinds=paged(notices)), MONDAY) == 1
    body = told()[0].body
    for sentence in (
        f"Ticket {tickets[0]}: First talk was due", f"工单 {tickets[0]}：首次通话已于",
        f"Ticket {tickets[0]}: gone_clock was due", f"Ticket {tickets[1]}: talk was due",
        "First talk 2026-11-11 18:00 → 2026-11-12 18:00",
    ):  # fmt: skip
        assert sentence in body, sentence


def paged(notices):
    """Every kind told at once."""
    return {name: kind.model_copy(update={"tell": "page"}) for name, kind in notices.kinds.items()}
