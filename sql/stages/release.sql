-- name: read_callers
-- Every agent with place, skills, work in hand and the contacts left after what was released to them today.
select
    s.staff_id,
    s.team,
    s.branch_code,
    b.region_code,
    s.skills,
    today.contacts,
    held.unfinished,
    greatest(0, today.contacts - held.released_today) as room
from staff as s
left join branches as b on s.branch_code = b.branch_code
left join shifts as w on s.staff_id = w.staff_id and w.day = :day
cross join lateral (
    select
        case
            when not s.is_present or is_away(s.staff_id, :day) then 0
            when w.staff_id is null and s.team = any(cast(:teams_at_rest as text [])) then 0
            else coalesce(w.contacts, s.contacts_per_day)
        end as contacts
) as today
cross join lateral (
    select
        count(*) filter (where t.state in ('assigned', 'in_progress', 'paused')) as unfinished,
        -- what is taken from a pool takes no room of the day
        count(*) filter (
            where t.released_at >= :day_starts_at and t.released_at < :day_ends_at and not t.is_pool
        ) as released_today
    from tickets as t
    where t.assignee_id = s.staff_id
) as held
where s.is_active and s.role = 'agent'
order by s.staff_id

-- name: count_released_today
-- Tickets released today by team and campaign, and how many of them still lie in the team's queue, using up its room.
select
    team,
    campaign,
    count(*) as released,
    count(*) filter (where assignee_id is null and state = 'assigned') as queued
from tickets
where released_at >= :day_starts_at and released_at < :day_ends_at and not is_pool
group by team, campaign

-- name: find_waiting
-- Everything that waits in these teams, by precedence, the oldest cycle and best rank first, with the line of its branch
-- and the agent of its team it is for.
with places as (
    select branch_code, coalesce(branch_line(branch_code), array[branch_code]) as line
    from (select distinct branch_code from tickets where state = 'waiting' and branch_code is not null) as known
)

select
    t.ticket_id, t.team, t.campaign, p.line, coalesce(t.region_code, b.region_code) as region_code, t.skill,
    l.staff_id as led_by
from tickets as t
left join places as p on t.branch_code = p.branch_code
left join branches as b on t.branch_code = b.branch_code
left join staff as l on t.led_by = l.staff_code and t.team = l.team and l.is_active and l.role = 'agent'
where
    t.state = 'waiting' and not t.is_pool and t.team = any(cast(:teams as text [])) and t.frozen_at is null
    and standing_limit(t.subscriber_id, t.customer_key, :day) is null
    and not is_stopped(t.campaign, t.team, t.region_code, t.branch_code)
order by t.precedence, t.cycle, t.rank, t.ticket_id

-- name: find_pooled
-- Everything that waits in the pools of these teams and may be worked.
select ticket_id
from tickets
where
    state = 'waiting' and is_pool and team = any(cast(:teams as text [])) and frozen_at is null
    and standing_limit(subscriber_id, customer_key, :day) is null
    and not is_stopped(campaign, team, region_code, branch_code)
order by precedence, cycle, rank, ticket_id

-- name: find_all_waiting
-- Everything that waits and may be worked, by precedence, the oldest cycle and best rank first.
select ticket_id
from tickets
where
    state = 'waiting' and frozen_at is null
    and standing_limit(subscriber_id, customer_key, :day) is null
    and not is_stopped(campaign, team, region_code, branch_code)
order by precedence, cycle, rank, ticket_id

-- name: count_waiting
-- How many tickets wait in each team.
select team, count(*) as waiting
from tickets
where state = 'waiting'
group by team
order by team

-- name: find_terms
-- What the clocks of tickets go by.
select ticket_id, campaign, cycle, tier, team, branch_code
from tickets
where ticket_id = any(cast(:ticket_ids as bigint []))
order by ticket_id

-- name: release_tickets
-- Hand tickets out: state, assignee, event and clocks by the ticket's terms, in one statement.
with given as (
    select ticket_id, nullif(staff_id, 0) as staff_id, terms
    from unnest(cast(:ticket_ids as bigint []), cast(:staff_ids as bigint []), cast(:terms as integer []))
        as given (ticket_id, staff_id, terms)
),

released as (
    update tickets as t
    set state = 'assigned', version = t.version + 1, assignee_id = given.staff_id, released_at = :now
    from given
    where t.ticket_id = given.ticket_id and t.state = 'waiting' and t.frozen_at is null
    returning t.ticket_id, t.version, t.assignee_id, given.terms
),

told as (
    insert into ticket_events (ticket_id, version, kind, from_state, to_state, actor, occurred_at, details)
    select ticket_id, version, 'release', 'waiting', 'assigned', 'loop', :now,
        jsonb_build_object('assignee_id', assignee_id)
    from released
)

insert into ticket_clocks (ticket_id, clock, stops, started_at, warn_at, due_at, is_provisional, explanation)
select
    r.ticket_id, c.clock, c.stops, :now, c.warn_at, c.due_at, c.is_provisional, c.explanation
from released as r
inner join jsonb_to_recordset(cast(:clocks as jsonb)) as c (
    terms integer, clock text, stops text, warn_at timestamptz, due_at timestamptz, is_provisional boolean, explanation jsonb
)
    on r.terms = c.terms

-- name: expect_later
-- What stays waiting is expected on the working day its team gets to it.
update tickets as t
set expected_on = later.expected_on
from unnest(cast(:ticket_ids as bigint []), cast(:days as date [])) as later (ticket_id, expected_on)
where t.ticket_id = later.ticket_id and t.expected_on <> later.expected_on

-- name: find_waiting_by_team
-- Everything that waits and is not frozen, by team, then by precedence, the oldest cycle and best rank first.
select ticket_id, team, campaign, is_pool
from tickets
where state = 'waiting' and frozen_at is null
order by team, precedence, cycle, rank, ticket_id
