-- name: lock_people
-- One load after the other, so that what was checked still holds when it is written.
lock table staff, branches in share row exclusive mode

-- name: known_branches
-- Every branch and the one it reports to.
select branch_code, parent_code
from branches

-- name: known_staff
-- Every staff code and user name ever used.
select staff_code, airflow_username
from staff

-- name: find_person
-- The person with this code, at work or gone.
select staff_id
from staff
where staff_code = :staff_code

-- name: put_branches
-- Branches as a file says, new or known.
insert into branches (branch_code, parent_code, name, region_code)
select branch_code, parent_code, name, region_code
from jsonb_to_recordset(cast(:rows as jsonb))
    as given (branch_code text, parent_code text, name text, region_code text)
on conflict (branch_code) do update set
    parent_code = excluded.parent_code,
    name = excluded.name,
    region_code = excluded.region_code

-- name: put_staff
-- People as a file says, new or known; somebody who left and is listed again works here again.
insert into staff (
    staff_code, airflow_username, name, role, team, branch_code, skills, contacts_per_day
)
select
    staff_code, airflow_username, name, role, team, branch_code,
    array(select jsonb_array_elements_text(skills)), contacts_per_day
from jsonb_to_recordset(cast(:rows as jsonb)) as given (
    staff_code text, airflow_username text, name text, role text, team text, branch_code text, skills jsonb,
    contacts_per_day integer
)
on conflict (staff_code) do update set
    airflow_username = excluded.airflow_username,
    name = excluded.name,
    role = excluded.role,
    team = excluded.team,
    branch_code = excluded.branch_code,
    skills = excluded.skills,
    contacts_per_day = excluded.contacts_per_day,
    is_active = true

-- name: place_simulated
-- Simulated people without a branch belong to the head office, which serves every branch below it.
update staff
set branch_code = :branch_code
where is_simulated and branch_code is null

-- name: clear_weeks
-- The roster of a person's week is replaced as a whole.
delete from shifts as w
using jsonb_to_recordset(cast(:rows as jsonb)) as given (staff_code text, day date), staff as s
where
    given.staff_code = s.staff_code and w.staff_id = s.staff_id
    and date_trunc('week', cast(w.day as timestamp)) = date_trunc('week', cast(given.day as timestamp))

-- name: put_shifts
-- Days on the roster.
insert into shifts (staff_id, day, contacts)
select s.staff_id, given.day, given.contacts
from jsonb_to_recordset(cast(:rows as jsonb)) as given (staff_code text, day date, contacts integer)
inner join staff as s on given.staff_code = s.staff_code

-- name: put_absences
-- Leave; one that begins on the same day is replaced.
insert into absences (staff_id, from_on, until_on, reason, recorded_at, recorded_by)
select s.staff_id, given.from_on, given.until_on, given.reason, :now, :by
from jsonb_to_recordset(cast(:rows as jsonb)) as given (staff_code text, from_on date, until_on date, reason text)
inner join staff as s on given.staff_code = s.staff_code
on conflict (staff_id, from_on) do update set
    until_on = excluded.until_on,
    reason = excluded.reason,
    recorded_at = excluded.recorded_at,
    recorded_by = excluded.recorded_by

-- name: delete_absence
-- Take a leave back.
delete from absences
using staff as s
where absences.staff_id = s.staff_id and s.staff_code = :staff_code and absences.from_on = :from_on

-- name: mark_present
-- Here today, or not.
update staff
set is_present = :is_present
where staff_code = :staff_code

-- name: show_people
-- Who works here, with tickets in hand, the current or next leave, and whether on duty today.
select
    s.staff_code,
    s.name,
    s.role,
    s.team,
    s.branch_code,
    s.airflow_username,
    array_to_string(s.skills, ';') as skills,
    s.contacts_per_day,
    is_on_duty(s.staff_id, cast(:today as date)) as is_on_duty,
    (
        select count(*)
        from tickets as t
        where t.assignee_id = s.staff_id and t.state in ('assigned', 'in_progress', 'paused')
    ) as unfinished,
    (
        select to_char(a.from_on, 'YYYY-MM-DD') || '/' || to_char(a.until_on, 'YYYY-MM-DD')
        from absences as a
        where a.staff_id = s.staff_id and a.until_on >= :today
        order by a.from_on
        limit 1
    ) as leave
from staff as s
where s.is_active and (cast(:team as text) is null or s.team = :team)
order by s.team, array_position(array['manager', 'lead', 'agent'], s.role), s.staff_code

-- name: keep_change
-- A change among the people is asked about later.
insert into audit_log (happened_at, actor, action, subject, details)
values (:now, :actor, :action, :subject, cast(:details as jsonb))
