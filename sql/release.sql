-- name: read_callers
-- Every agent, with the contacts left after what was released to them today already; none for the absent.
select
    s.staff_id,
    s.team,
    case when s.is_present then s.contacts_per_day else 0 end as contacts_per_day,
    case when s.is_present then greatest(0, s.contacts_per_day - count(t.ticket_id)) else 0 end as room
from staff as s
left join tickets as t
    on
        s.staff_id = t.assignee_id
        and t.released_at >= :day_starts_at and t.released_at < :day_ends_at
where s.is_active and s.role = 'agent'
group by s.staff_id
order by s.staff_id

-- name: find_waiting
-- Waiting tickets of a team that may be worked, best rank first within the oldest cycle.
select ticket_id
from tickets
where
    state = 'waiting' and team = :team and frozen_at is null
    and standing_limit(subscriber_id, customer_key, :today) is null
order by cycle, rank, ticket_id
limit :room

-- name: find_all_waiting
-- Everything that waits and may be worked, oldest cycle and best rank first.
select ticket_id
from tickets
where
    state = 'waiting' and frozen_at is null
    and standing_limit(subscriber_id, customer_key, :today) is null
order by cycle, rank, ticket_id

-- name: count_waiting
-- How many tickets wait in each team.
select team, count(*) as waiting
from tickets
where state = 'waiting'
group by team
order by team

-- name: release_tickets
-- Hand tickets out: state, assignee, event and both clocks in one statement.
with given as (
    select ticket_id, nullif(staff_id, 0) as staff_id
    from unnest(cast(:ticket_ids as bigint []), cast(:staff_ids as bigint [])) as pairs (ticket_id, staff_id)
),

released as (
    update tickets as t
    set state = 'assigned', version = t.version + 1, assignee_id = given.staff_id, released_at = :now
    from given
    where t.ticket_id = given.ticket_id and t.state = 'waiting' and t.frozen_at is null
    returning t.ticket_id, t.version, t.assignee_id
),

told as (
    insert into ticket_events (ticket_id, version, kind, from_state, to_state, actor, occurred_at, details)
    select ticket_id, version, 'release', 'waiting', 'assigned', 'loop', :now,
        jsonb_build_object('assignee_id', assignee_id)
    from released
)

insert into ticket_clocks (ticket_id, clock, started_at, warn_at, due_at, is_provisional, explanation)
select
    r.ticket_id, c.clock, :now, c.warn_at, c.due_at, c.is_provisional, c.explanation
from released as r
cross join jsonb_to_recordset(cast(:clocks as jsonb)) as c (
    clock text, warn_at timestamptz, due_at timestamptz, is_provisional boolean, explanation jsonb
)

-- name: expect_later
-- What stays waiting is expected on the working day its team gets to it.
update tickets as t
set expected_on = later.expected_on
from unnest(cast(:ticket_ids as bigint []), cast(:days as date [])) as later (ticket_id, expected_on)
where t.ticket_id = later.ticket_id and t.expected_on <> later.expected_on

-- name: find_waiting_by_team
-- Everything that waits and is not frozen, by team, oldest cycle and best rank first.
select ticket_id, team
from tickets
where state = 'waiting' and frozen_at is null
order by team, cycle, rank, ticket_id
