-- name: list_cycles
-- The newest cycles of a campaign.
select c.cycle, c.month, c.as_of, c.fixed_at
from cycles as c
where c.campaign = :campaign
order by c.cycle desc
limit :limit

-- name: read_funnel
-- How many are left after each step of these cycles; before dispatch over all teams, since then of what the viewer sees.
with worked as (
    select
        t.cycle,
        count(*) as dispatched,
        count(*) filter (where t.released_at is not null) as released,
        count(*) filter (where t.is_contacted) as contacted,
        count(*) filter (where t.is_planned) as planned,
        count(*) filter (where t.is_completed) as processed,
        count(*) filter (where t.state = 'closed') as closed,
        count(*) filter (where t.outcome = 'retained') as retained
    from board_work(:campaign, cast(:cycles as text [])) as t
    group by t.cycle
),

warned as (
    select w.cycle, cast(sum(w.subscribers) as bigint) as warned
    from board_warnings as w
    where w.campaign = :campaign and w.cycle = any(cast(:cycles as text []))
    group by w.cycle
),

held_out as (
    select d.cycle, cast(sum(d.subscribers) as bigint) as held_out
    from board_decisions as d
    where d.campaign = :campaign and d.cycle = any(cast(:cycles as text [])) and d.decision = 'held_out'
    group by d.cycle
)

select
    c.cycle,
    (
        select d.rows_accepted from deliveries as d
        where d.feed = 'subscribers' and d.period = c.month and d.is_current
    ) as subscribers,
    cast(c.dispatch_summary ->> 'scored' as bigint) as scored,
    warned.warned,
    case when c.fixed_at is not null then coalesce(held_out.held_out, 0) end as held_out,
    coalesce(worked.dispatched, 0) as dispatched,
    coalesce(worked.released, 0) as released,
    coalesce(worked.contacted, 0) as contacted,
    coalesce(worked.planned, 0) as planned,
    coalesce(worked.processed, 0) as processed,
    coalesce(worked.closed, 0) as closed,
    coalesce(worked.retained, 0) as retained
from cycles as c
left join warned on c.cycle = warned.cycle
left join held_out on c.cycle = held_out.cycle
left join worked on c.cycle = worked.cycle
where c.campaign = :campaign and c.cycle = any(cast(:cycles as text []))

-- name: read_service
-- Service levels of a cycle, of all, per team and per agent who has the ticket now; a deadline passed is breached.
with counted as (
    select
        team, assignee_id,
        case grouping(team, assignee_id) when 3 then 'all' when 1 then 'team' else 'agent' end as level,
        count(*) filter (where clock = 'first_contact' and verdict = 'on_time') as contact_on_time,
        count(*) filter (where clock = 'first_contact' and verdict = 'breached') as contact_breached,
        count(*) filter (where clock = 'first_contact' and verdict = 'open') as contact_open,
        count(*) filter (where clock = 'plan' and verdict = 'on_time') as plan_on_time,
        count(*) filter (where clock = 'plan' and verdict = 'breached') as plan_breached,
        count(*) filter (where clock = 'plan' and verdict = 'open') as plan_open
    from board_verdicts(:campaign, :cycle, :now)
    group by grouping sets ((), (team), (team, assignee_id))
)

select
    c.level, c.team, s.name as agent, c.contact_on_time, c.contact_breached, c.contact_open, c.plan_on_time,
    c.plan_breached, c.plan_open,
    cast(c.plan_on_time as double precision) / nullif(c.plan_on_time + c.plan_breached, 0) as plan_on_time_share
from counted as c
left join staff as s on c.assignee_id = s.staff_id
where c.level <> 'all' or c.contact_on_time + c.contact_breached + c.contact_open + c.plan_on_time
+ c.plan_breached + c.plan_open > 0
order by array_position(array['all', 'team', 'agent'], c.level), c.team, s.name nulls last

-- name: read_breaches
-- Open clocks of unfinished tickets of any cycle whose deadline has passed, the longest first.
select k.ticket_id, k.clock, k.team, s.name as agent, k.cycle, k.due_at
from board_clocks as k
left join staff as s on k.assignee_id = s.staff_id
where
    k.campaign = :campaign and k.state not in ('closed', 'cancelled', 'expired')
    and k.met_at is null and k.voided_at is null
    -- each half has its index
    and ((k.breached_at is not null and k.due_at < :now) or (k.breached_at is null and k.due_at < :now))
order by k.due_at, k.ticket_id, k.clock
limit :limit

-- name: read_ages
-- Unfinished released tickets of any cycle per team and agent, by days since their release.
select
    t.team, s.name as agent,
    count(*) filter (where t.age <= 3) as days_3,
    count(*) filter (where t.age between 4 and 7) as days_7,
    count(*) filter (where t.age between 8 and 14) as days_14,
    count(*) filter (where t.age > 14) as days_more,
    count(*) as unfinished,
    max(t.age) as oldest
from (
    select
        b.team, b.assignee_id,
        cast(cast(:now as timestamptz) at time zone 'Asia/Shanghai' as date)
        - cast(b.released_at at time zone 'Asia/Shanghai' as date) as age
    from board_tickets as b
    where
        b.campaign = :campaign and b.state not in ('closed', 'cancelled', 'expired')
        and b.released_at is not null
) as t
left join staff as s on t.assignee_id = s.staff_id
group by t.team, t.assignee_id, s.name
order by t.team, oldest desc, s.name

-- name: read_oldest
-- The unfinished tickets of any cycle released longest ago.
select b.ticket_id, b.state, b.team, s.name as agent, b.cycle, b.released_at
from board_tickets as b
left join staff as s on b.assignee_id = s.staff_id
where
    b.campaign = :campaign and b.state not in ('closed', 'cancelled', 'expired')
    and b.released_at is not null
order by b.released_at, b.ticket_id
limit :limit

-- name: read_sample
-- Closed tickets of a cycle for the lead to look at: a share drawn by the ticket's own number, per team at least one.
with drawn as (
    select
        t.ticket_id, t.team, t.assignee_id, t.outcome, t.closed_at, d.place,
        row_number() over (partition by t.team order by d.place, t.ticket_id) as turn
    from board_tickets as t
    cross join lateral (
        select
            cast(
                cast('x' || left(md5('quality sample ' || t.cycle || ':' || t.ticket_id), 8) as bit(32)) as bigint
            ) as place
    ) as d
    where t.campaign = :campaign and t.cycle = :cycle and t.state = 'closed'
)

select d.ticket_id, d.team, s.name as agent, d.outcome, d.closed_at
from drawn as d
left join staff as s on d.assignee_id = s.staff_id
-- the first 32 bits of an md5 lie below 2^32
where d.place < :share * 4294967296 or d.turn = 1
order by d.team, d.closed_at desc, d.ticket_id
limit :limit

-- name: read_outcomes
-- How the closed tickets of a cycle ended: by strategy of the last plan, team, grade, tenure cluster and region.
with grouped as (
    select
        case grouping(t.strategy, t.team, t.grade, t.cluster, t.region_code)
            when 15 then 'strategy' when 23 then 'team' when 27 then 'grade' when 29 then 'cluster' else 'region'
        end as kind,
        coalesce(t.strategy, t.team, t.grade, t.cluster, t.region_code) as value,
        count(*) filter (where t.outcome = 'retained') as retained,
        count(*) filter (where t.outcome = 'considering') as considering,
        count(*) filter (where t.outcome = 'declined') as declined,
        count(*) filter (where t.outcome = 'no_intention') as no_intention,
        count(*) filter (where t.outcome = 'refused_contact') as refused_contact,
        count(*) filter (where t.outcome = 'unreachable') as unreachable,
        count(*) as closed
    from board_tickets as t
    where t.campaign = :campaign and t.cycle = :cycle and t.state = 'closed'
    group by grouping sets ((t.strategy), (t.team), (t.grade), (t.cluster), (t.region_code))
)

select g.*, cast(g.retained as double precision) / g.closed as retained_share
from grouped as g
order by array_position(array['strategy', 'team', 'grade', 'cluster', 'region'], g.kind), g.closed desc, g.value

-- name: read_rates
-- Reached, willing, completed as in rates.sql, of one cycle and of what the viewer sees, in one pass.
with counted as (
    select
        t.team, t.assignee_id,
        case grouping(t.team, t.assignee_id) when 3 then 'all' when 1 then 'team' else 'agent' end as level,
        count(*) as released,
        count(*) filter (where t.is_answered or t.outcome = 'retained' or t.is_processed) as reached,
        count(*) filter (where t.outcome = 'retained' or t.is_processed) as willing,
        count(*) filter (where t.is_completed) as completed
    from board_work(:campaign, array[cast(:cycle as text)]) as t
    where t.released_at is not null
    group by grouping sets ((), (t.team), (t.team, t.assignee_id))
)

select
    c.level, c.team, s.name as agent, c.released, c.reached, c.willing, c.completed,
    cast(c.reached as double precision) / c.released as reached_share,
    cast(c.willing as double precision) / nullif(c.reached, 0) as willing_share,
    cast(c.completed as double precision) / nullif(c.willing, 0) as completed_share
from counted as c
left join staff as s on c.assignee_id = s.staff_id
where c.released > 0
order by array_position(array['all', 'team', 'agent'], c.level), c.team, s.name nulls last

-- name: read_effect
-- What the hold-out showed of the cycles observed: left with a ticket, left without, and the difference with its interval.
select
    e.cycle,
    max(e.subscribers) filter (where e.slice_value = 'treated' and e.metric = 'churn_rate') as treated,
    max(e.value) filter (where e.slice_value = 'treated' and e.metric = 'churn_rate') as treated_left,
    max(e.subscribers) filter (where e.slice_value = 'held_out' and e.metric = 'churn_rate') as held_out,
    max(e.value) filter (where e.slice_value = 'held_out' and e.metric = 'churn_rate') as held_out_left,
    max(e.value) filter (where e.metric = 'churn_avoided') as avoided,
    max(e.value) filter (where e.metric = 'churn_avoided_low') as avoided_low,
    max(e.value) filter (where e.metric = 'churn_avoided_high') as avoided_high,
    max(e.value) filter (where e.metric = 'incremental_saves') as saves,
    max(e.evaluated_at) as evaluated_at
from evaluations as e
where e.campaign = :campaign and e.revision = 0 and e.slice = 'arm'
group by e.cycle
order by e.cycle desc
limit :limit

-- name: read_outreach
-- What became of the secondary tier of a cycle.
select o.decision, o.channel, o.subscribers
from board_outreach as o
where o.campaign = :campaign and o.cycle = :cycle
order by o.decision, o.channel

-- name: read_pots
-- The pots that run on a day: everybody's, and those of the viewer's branch line; all of them for a manager.
select
    p.branch_code, p.starts_on, p.ends_on, p.limit_yuan, p.reserved_yuan, p.committed_yuan,
    p.limit_yuan - p.reserved_yuan - p.committed_yuan as left_yuan,
    cast((p.reserved_yuan + p.committed_yuan) / nullif(p.limit_yuan, 0) as double precision) as used_share
from budget_pots as p
where
    p.campaign = :campaign and :day between p.starts_on and p.ends_on
    and (:everybody or p.branch_code is null or p.branch_code = any(branch_line(:branch_code)))
order by p.branch_code nulls first, p.starts_on

-- name: read_deliveries
-- The newest delivery that stands of each feed.
select distinct on (d.feed) d.feed, d.period, d.collected_at, d.rows_accepted, d.rows_quarantined, d.is_complete
from deliveries as d
where d.is_current
order by d.feed, d.period desc

-- name: read_quarantine
-- What was put aside of the newest deliveries, most rows first.
select d.feed, d.period, q.file, q.column_name, q.reason, q.rows
from (
    select distinct on (feed) delivery_id, feed, period from deliveries
    where is_current
    order by feed, period desc
) as d
inner join quarantine_summary as q on d.delivery_id = q.delivery_id
order by q.rows desc, d.feed, q.file, q.column_name
limit :limit

-- name: read_heartbeats
-- When each watcher last finished.
select h.name, h.ticked_at
from heartbeats as h
order by h.name

-- name: read_stages
-- When each stage of the cycle last finished.
select s.stage, s.finished_at
from board_stages as s
where s.campaign = :campaign and s.cycle = :cycle
order by s.finished_at

-- name: read_queue
-- The unfinished tickets of the viewer for a file, most urgent first; the number of the subscriber masked.
with urgent as (
    select t.*
    from tickets as t
    where
        t.state not in ('closed', 'cancelled', 'expired')
        and (cast(:team as text) is null or t.team = :team)
    order by t.due_at nulls last, t.rank, t.ticket_id
    limit :limit
)

select
    t.ticket_id, t.campaign, t.cycle, t.state, t.grade, t.tier, t.team, t.branch_code, t.region_code, t.value_yuan,
    lpad(right(t.subscriber_id, least(4, length(t.subscriber_id) / 2)), length(t.subscriber_id), '*') as subscriber,
    s.name as agent, t.released_at, t.due_at, k.breached_at
from urgent as t
left join staff as s on t.assignee_id = s.staff_id
left join ticket_clocks as k
    on t.ticket_id = k.ticket_id and k.clock = 'plan' and k.met_at is null and k.voided_at is null
order by t.due_at nulls last, t.rank, t.ticket_id

-- name: count_queue
-- How many unfinished tickets the viewer has.
select count(*)
from tickets
where state not in ('closed', 'cancelled', 'expired') and (cast(:team as text) is null or team = :team)
