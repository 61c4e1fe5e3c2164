"""People without SQL: files checked as a whole, rosters, leave, hand-over by command."""

import json
from datetime import date, datetime

import pytest
import sqlalchemy as sa

from include.commands.staff.__main__ import main
from include.commands.staff.files import Shift, read_people
from include.commands.staff.roster import load_people
from include.domain.errors import BadInput
from include.domain.periods.months import ZONE
from include.domain.signature import Signature
from tests.fixtures.writings import WRITINGS

NOW = datetime(2026, 11, 6, 8, 0, tzinfo=ZONE)

PEOPLE = """
branches:
  - {branch_code: R01, name: 东区, region_code: R01}
  - {branch_code: R01-B01, name: 东一, parent_code: R01, region_code: R01}
staff:
  - {staff_code: A1, name: 王芳, role: agent, team: vip, contacts_per_day: 10, branch_code: R01-B01, skills: [silver]}
  - {staff_code: A2, name: 张伟, role: agent, team: vip, contacts_per_day: 8}
  - {staff_code: L1, name: 李娜, role: lead, team: vip, contacts_per_day: 0, airflow_username: li.na}
shifts:
  - {staff_code: A2, day: 2026-11-07, contacts: 4}
absences:
  - {staff_code: A1, from_on: 2026-11-09, until_on: 2026-11-13, reason: leave}
"""


@pytest.fixture
def people_file(tmp_path):
    file = tmp_path / "people.yaml"
    file.write_text(PEOPLE, "utf-8")
    return file


@pytest.fixture
def run(role_url, capsys):
    """Run the command as WHO; return its exit status and what it said."""

    def command(*words):
        given = ["--db", role_url("churn_loop"), "--now", NOW.isoformat()]
        status = main([*words, *given])
        told = capsys.readouterr()
        return status, told.out + told.err

    return command


def rows(db, statement, **values):
    with db.begin():
        return [tuple(row) for row in db.execute(sa.text(statement), values)]


def test_a_file_brings_branches_people_rosters_and_leave(db, run, people_file):
    status, told = run("load", str(people_file), "--by", "admin")
    assert (status, json.loads(told)) == (
        0,
        {"stage": "staff", "branches": 2, "staff": 3, "shifts": 1, "absences": 1},
    )
    assert rows(db, "select staff_code, skills, branch_code from staff order by 1") == [
        ("A1", ["silver"], "R01-B01"), ("A2", [], None), ("L1", [], None),
    ]  # fmt: skip
    assert rows(db, "select contacts from shifts") == [(4,)]
    assert rows(db, "select actor, action from audit_log") == [("admin", "staff load")]


def test_loaded_twice_is_loaded_once_and_changes_are_taken_over(db, run, people_file):
    run("load", str(people_file), "--by", "admin")
    people_file.write_text(PEOPLE.replace("contacts_per_day: 8", "contacts_per_day: 9"), "utf-8")
    assert run("load", str(people_file), "--by", "admin")[0] == 0
    assert rows(db, "select count(*), max(contacts_per_day) filter (where staff_code = 'A2') from staff") == [
        (3, 9)
    ]


def test_a_week_of_the_roster_is_replaced_as_a_whole(db, run, people_file, tmp_path):
    run("load", str(people_file), "--by", "admin")
    roster = tmp_path / "roster.csv"
    roster.write_text("staff_code,day,contacts\nA2,2026-11-03,\nA2,2026-11-04,6\nA2,2026-11-16,\n", "utf-8")
    assert run("load", str(roster), "--by", "admin")[0] == 0
    assert rows(db, "select day, contacts from shifts order by day") == [
        (date(2026, 11, 3), None), (date(2026, 11, 4), 6), (date(2026, 11, 16), None),
    ]  # fmt: skip


def test_a_csv_written_by_a_spreadsheet_is_read(db, run, tmp_path):
    staff = tmp_path / "staff.csv"
    staff.write_text(
        "\ufeffstaff_code,name,role,team,contacts_per_day,skills\r\n007,赵磊,agent,mid_high,12,silver;english\r\n",
        "utf-8",
    )
    assert run("load", str(staff), "--by", "admin")[0] == 0
    assert rows(db, "select staff_code, skills from staff") == [("007", ["silver", "english"])]


def test_codes_are_text_as_typed_and_quotes_are_not_needed(db, run, tmp_path):
    file = tmp_path / "people.yaml"
    file.write_text(
        """
branches:
  - {branch_code: 0451, name: 哈尔滨, region_code: 0451}
  - {branch_code: 010, name: 北京, parent_code: 0451}
staff:
  - {staff_code: 0012, name: 王芳, role: agent, team: vip, contacts_per_day: 8, branch_code: 0451}
  - {staff_code: 0009, name: 李娜, role: agent, team: vip, contacts_per_day: 8}
  - {staff_code: 12_345, name: 赵敏, role: agent, team: vip, contacts_per_day: 8}
  - {staff_code: 1:20, name: 钱进, role: agent, team: vip, contacts_per_day: 8}
  - {staff_code: no, name: 孙丽, role: agent, team: vip, contacts_per_day: 8, branch_code: 010}
""",
        "utf-8",
    )
    assert run("load", str(file), "--by", "admin")[0] == 0
    assert rows(db, "select branch_code, parent_code, region_code from branches order by 1") == [
        ("010", "0451", None), ("0451", None, "0451"),
    ]  # fmt: skip
    assert rows(db, "select staff_code, branch_code from staff order by staff_id") == [
        ("0012", "0451"), ("0009", None), ("12_345", None), ("1:20", None), ("no", "010"),
    ]  # fmt: skip


HEADER = "staff_code,name,role,team,contacts_per_day\r\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (("\ufeff" + HEADER + "0012,王芳,agent,vip,8.0\r\n").encode(), None),
        ((HEADER + "0012,王芳,agent,vip,8\r\n").encode("gbk"), "The file was read as GB18030."),
        ((HEADER + "0012,王芳,agent,vip,8\r\n").replace(",", ";").encode(), None),
        ((HEADER + "0012,王芳,agent,vip,8\r\n").replace(",", "\t").encode(), None),
    ],
)
def test_however_the_spreadsheet_saved_it_the_person_is_the_same(db, run, tmp_path, content, message):
    file = tmp_path / "staff.csv"
    file.write_bytes(content)
    status, told = run("load", str(file), "--by", "admin")
    assert (status, json.loads(told).get("message")) == (0, message)
    assert rows(db, "select staff_code, name, contacts_per_day from staff") == [("0012", "王芳", 8)]


@pytest.mark.parametrize("way", sorted(WRITINGS))
def test_a_code_is_the_same_however_it_is_written(tmp_path, way):
    file, code = tmp_path / "x.csv", '"' + WRITINGS[way]("0012").replace('"', '""') + '"'
    file.write_text(f"{HEADER}{code},王芳,agent,vip,8\r\n", "utf-8")
    assert read_people(file).staff[0].staff_code == "0012"
    file.write_text(f"staff_code,day,contacts\r\n{code},2026/11/9,8\r\n", "utf-8")
    assert read_people(file).shifts == (Shift(staff_code="0012", day=date(2026, 11, 9), contacts=8),)
    file.write_text(f"branch_code,name,parent_code,region_code\r\n{code},x,{code},{code}\r\n", "utf-8")
    branch = read_people(file).branches[0]
    assert (branch.branch_code, branch.parent_code, branch.region_code) == ("0012",) * 3


def test_a_command_takes_a_code_and_a_day_as_they_were_pasted(db, run, tmp_path):
    file = tmp_path / "staff.csv"
    file.write_text(HEADER + "0012,王芳,agent,vip,8\r\n", "utf-8")
    run("load", str(file), "--by", "admin")
    assert run("leave", "\u202d００12\u202c", "--from", "2026年11月9日", "--by", "admin")[0] == 0
    assert rows(db, "select from_on, until_on from absences") == [(date(2026, 11, 9), date(2026, 11, 9))]


def test_an_order_of_day_and_month_that_is_a_guess_is_told_with_its_line(run, tmp_path):
    file = tmp_path / "shifts.csv"
    file.write_text("staff_code,day,contacts\r\nA1,9/11/2026,8\r\n", "utf-8")
    status, told = run("load", str(file), "--by", "admin")
    assert status == 1
    assert "shifts.csv, nothing was loaded: line 2, day:" in told and "Write the year first" in told


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            ("team: vip, contacts_per_day: 10", "team: vips, contacts_per_day: 10"),
            "A1: team 'vips' is none of vip",
        ),
        (
            ("contacts_per_day: 10", "contacts_per_day: -1"),
            "staff 1, contacts_per_day: Input should be greater",
        ),
        (("role: lead", "role: boss"), "staff 3, role: Input should be"),
        (("branch_code: R01-B01, skills", "branch_code: R09, skills"), "A1: branch 'R09' is unknown"),
        (("parent_code: R01,", "parent_code: R07,"), "branch 'R01-B01' reports to 'R07', which is unknown"),
        (("name: 东区,", "name: 东区, parent_code: R01-B01,"), "branch 'R01' reports to itself in a circle"),
        (("staff_code: A2, day", "staff_code: A9, day"), "nobody has the staff code 'A9'"),
        (("until_on: 2026-11-13", "until_on: 2026-11-01"), "until_on 2026-11-01 lies before from_on"),
        (("staff_code: A2, name", "staff_code: A1, name"), "staff: A1 stands twice"),
        (("contacts: 4", "contact: 4"), "shifts 1, contact: Extra inputs are not permitted"),
    ],
)
def test_a_fault_is_named_and_nothing_is_loaded(db, run, people_file, change, sentence):
    assert change[0] in PEOPLE
    people_file.write_text(PEOPLE.replace(*change), "utf-8")
    status, told = run("load", str(people_file), "--by", "admin")
    assert status == 1 and sentence in told, told
    assert "othing was loaded" in told
    assert rows(db, "select (select count(*) from staff) + (select count(*) from branches)") == [(0,)]


def test_a_user_name_belongs_to_one_person(db, config, run, people_file, tmp_path):
    run("load", str(people_file), "--by", "admin")
    other = tmp_path / "other.yaml"
    row = "{staff_code: A5, name: x, role: agent, team: vip, contacts_per_day: 1, airflow_username: li.na}"
    other.write_text(f"staff: [{row}]", "utf-8")
    with pytest.raises(BadInput, match=r"the user 'li\.na' is L1's"):
        load_people(db, config, read_people(other), Signature("admin", NOW))


@pytest.mark.parametrize("text", ["a,b\n1,2\n", ""])
def test_a_csv_of_unknown_columns_says_which_are_known(run, tmp_path, text):
    file = tmp_path / "x.csv"
    file.write_text(text, "utf-8")
    status, told = run("load", str(file), "--by", "admin")
    assert status == 1 and "staff_code" in told


def test_leave_is_recorded_shown_and_taken_back(db, run, people_file):
    run("load", str(people_file), "--by", "admin")
    assert run("leave", "A2", "--from", "2026-11-06", "--until", "2026-11-20", "--by", "L1")[0] == 0
    line = next(line for line in run("show", "--team", "vip")[1].splitlines() if line.startswith("A2"))
    assert "False" in line and "2026-11-06/2026-11-20" in line
    assert run("leave", "A2", "--from", "2026-11-06", "--cancel", "--by", "L1")[0] == 0
    status, told = run("leave", "A2", "--from", "2026-11-06", "--cancel", "--by", "L1")
    assert status == 1 and "A2 has no leave from 2026-11-06" in told


def test_leave_that_ends_before_it_begins_and_unknown_people_are_refused(run, people_file):
    run("load", str(people_file), "--by", "admin")
    assert (
        "lies before --from"
        in run("leave", "A2", "--from", "2026-11-06", "--until", "2026-11-01", "--by", "L1")[1]
    )
    with pytest.raises(SystemExit, match="2"):
        run("leave", "A2", "--from", "tomorrow", "--by", "L1")
    assert "Nobody has the staff code 'A9'" in run("leave", "A9", "--from", "2026-11-06", "--by", "L1")[1]


def test_somebody_ill_today_is_marked_absent_and_present_again(db, run, people_file):
    run("load", str(people_file), "--by", "admin")
    present = "select is_present from staff where staff_code = 'A1'"
    run("absent", "A1", "--by", "L1")
    assert rows(db, present) == [(False,)]
    run("present", "A1", "--by", "L1")
    assert rows(db, present) == [(True,)]


def test_a_hand_over_by_command_names_the_user_to_disable(db, run, people_file):
    run("load", str(people_file), "--by", "admin")
    with db.begin():
        db.execute(sa.text("update staff set airflow_username = 'wang.fang' where staff_code = 'A1'"))
    status, told = run("hand-over", "A1", "--because", "resigned", "--by", "L1")
    assert status == 0 and "Disable the Airflow user 'wang.fang'" in told
    assert rows(db, "select is_active from staff where staff_code = 'A1'") == [(False,)]
    assert "already" in run("hand-over", "A1", "--because", "resigned", "--by", "L1")[1]


def test_an_empty_staff_says_how_to_begin(run):
    assert "Load a file first" in run("show")[1]


def test_a_team_that_is_not_known_is_told_with_the_known_ones(run):
    status, told = run("show", "--team", "nosuch")
    assert (status, told.splitlines()) == (
        1,
        ["BadInput: There is no team 'nosuch' in teams.yaml. Known: vip, mid_high, new_subscriber."],
    )
    assert run("show", "--team", "vip") == (
        0,
        "Nobody is in team vip. Load a file first: python -m include.commands.staff load FILE.csv\n",
    )
