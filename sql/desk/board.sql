-- name: read_funnel
-- How many are left after each step of each cycle; before dispatch over all teams, since then of what the viewer sees.
with worked as (
    select
        t.campaign, t.cycle,
        count(*) as dispatched,
        count(*) filter (where t.released_at is not null) as released,
        count(*) filter (where t.is_contacted) as contacted,
        count(*) filter (where t.is_planned) as planned,
        count(*) filter (where t.is_completed) as processed,
        count(*) filter (where t.state = 'closed') as closed,
        count(*) filter (where t.campaign || '/' || t.outcome = any(cast(:willing as text []))) as won
    from board_work(cast(:campaigns as text []), cast(:cycles as text [])) as t
    group by t.campaign, t.cycle
),

warned as (
    select w.campaign, w.cycle, cast(sum(w.subscribers) as bigint) as warned
    from board_warnings as w
    where w.campaign = any(cast(:campaigns as text [])) and w.cycle = any(cast(:cycles as text []))
    group by w.campaign, w.cycle
),

held_out as (
    select d.campaign, d.cycle, cast(sum(d.subscribers) as bigint) as held_out
    from board_decisions as d
    where
        d.campaign = any(cast(:campaigns as text [])) and d.cycle = any(cast(:cycles as text []))
        and d.decision = 'held_out'
    group by d.campaign, d.cycle
)

select
    c.campaign, c.cycle,
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
    coalesce(worked.won, 0) as won
from cycles as c
left join warned on c.campaign = warned.campaign and c.cycle = warned.cycle
left join held_out on c.campaign = held_out.campaign and c.cycle = held_out.cycle
left join worked on c.campaign = worked.campaign and c.cycle = worked.cycle
where
    c.campaign = any(cast(:campaigns as text [])) and c.cycle = any(cast(:cycles as text []))
    and (:shadows or not c.is_shadow)

-- name: read_service
-- Service levels per clock and campaign, of all, per team and per agent who has the ticket now; a deadline passed is
-- breached.
with counted as (
    select
        campaign, clock, team, assignee_id,
        case grouping(team, assignee_id) when 3 then 'all' when 1 then 'team' else 'agent' end as level,
        count(*) filter (where verdict = 'on_time') as on_time,
        count(*) filter (where verdict = 'breached') as breached,
        count(*) filter (where verdict = 'open') as open
    from board_verdicts(cast(:campaigns as text []), cast(:cycles as text []), :now)
    group by grouping sets ((campaign, clock), (campaign, clock, team), (campaign, clock, team, assignee_id))
)

select
    c.campaign, c.clock, c.level, c.team, s.name as agent, c.assignee_id, c.on_time, c.breached, c.open,
    cast(c.on_time as double precision) / nullif(c.on_time + c.breached, 0) as on_time_share
from counted as c
left join staff as s on c.assignee_id = s.staff_id
order by
    c.campaign, array_position(array['all', 'team', 'agent'], c.level), c.team, s.name nulls last, c.assignee_id, c.clock

-- name: read_breaches
-- Open clocks of unfinished tickets of any cycle whose deadline has passed, the longest first.
select k.campaign, k.ticket_id, k.clock, k.team, s.name as agent, k.cycle, k.due_at
from board_clocks as k
left join staff as s on k.assignee_id = s.staff_id
where
    k.campaign = any(cast(:campaigns as text [])) and not is_finished(k.state)
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
        b.campaign = any(cast(:campaigns as text [])) and not is_finished(b.state)
        and b.released_at is not null
) as t
left join staff as s on t.assignee_id = s.staff_id
group by t.team, t.assignee_id, s.name
order by t.team, oldest desc, s.name

-- name: read_oldest
-- The unfinished tickets of any cycle released longest ago.
select b.campaign, b.ticket_id, b.state, b.team, s.name as agent, b.cycle, b.released_at
from board_tickets as b
left join staff as s on b.assignee_id = s.staff_id
where
    b.campaign = any(cast(:campaigns as text [])) and not is_finished(b.state)
    and b.released_at is not null
order by b.released_at, b.ticket_id
limit :limit

-- name: read_sample
-- Closed tickets for the lead to look at: a share drawn by the ticket's own number, per team at least one.
with drawn as (
    select
        t.campaign, t.ticket_id, t.team, t.assignee_id, t.outcome, t.closed_at, d.place,
        row_number() over (partition by t.team order by d.place, t.ticket_id) as turn
    from board_tickets as t
    cross join lateral (
        select
            cast(
                cast('x' || left(md5('quality sample ' || t.cycle || ':' || t.ticket_id), 8) as bit(32)) as bigint
            ) as place
    ) as d
    where
        t.campaign = any(cast(:campaigns as text [])) and t.cycle = any(cast(:cycles as text []))
        and t.state = 'closed'
)

select d.campaign, d.ticket_id, d.team, s.name as agent, d.outcome, d.closed_at
from drawn as d
left join staff as s on d.assignee_id = s.staff_id
-- the first 32 bits of an md5 lie below 2^32
where d.place < :share * 4294967296 or d.turn = 1
order by d.team, d.closed_at desc, d.ticket_id
limit :limit

-- name: read_outcomes
-- How closed tickets ended, per ending: by campaign, strategy of the last plan, team, grade, tenure cluster and region.
select
    t.campaign,
    case grouping(t.strategy, t.team, t.grade, t.cluster, t.region_code)
        when 31 then 'campaign' when 15 then 'strategy' when 23 then 'team' when 27 then 'grade'
        when 29 then 'cluster' else 'region'
    end as kind,
    coalesce(t.strategy, t.team, t.grade, t.cluster, t.region_code) as value,
    t.outcome,
    count(*) as closed
from board_tickets as t
where
    t.campaign = any(cast(:campaigns as text [])) and t.cycle = any(cast(:cycles as text []))
    and t.state = 'closed'
group by
    t.campaign, t.outcome, grouping sets ((), (t.strategy), (t.team), (t.grade), (t.cluster), (t.region_code))

-- name: read_rates
-- Reached, willing, completed as in rates.sql, of what the viewer sees: by campaign, unit, team and agent, in one pass.
with worked as (
    select
        t.*,
        coalesce(t.campaign || '/' || t.outcome = any(cast(:willing as text [])), false) or t.is_processed as is_willing
    from board_work(cast(:campaigns as text []), cast(:cycles as text [])) as t
    where t.released_at is not null
),

counted as (
    select
        t.campaign, t.branch_code, t.team, t.assignee_id,
        case grouping(t.campaign, t.branch_code, t.team, t.assignee_id)
            when 15 then 'all' when 7 then 'campaign' when 11 then 'unit' when 13 then 'team' else 'agent'
        end as level,
        count(*) as released,
        count(*) filter (where t.is_answered or t.is_willing) as reached,
        count(*) filter (where t.is_willing) as willing,
        count(*) filter (where t.is_completed) as completed
    from worked as t
    group by grouping sets ((), (t.campaign), (t.branch_code), (t.team), (t.team, t.assignee_id))
)

select
    c.level, c.campaign, c.branch_code, c.team, s.name as agent, c.released, c.reached, c.willing, c.completed,
    cast(c.reached as double precision) / c.released as reached_share,
    cast(c.willing as double precision) / nullif(c.reached, 0) as willing_share,
    cast(c.completed as double precision) / nullif(c.willing, 0) as completed_share
from counted as c
left join staff as s on c.assignee_id = s.staff_id
where
    c.released > 0
    -- one campaign is all there is; what no unit owns is in the other lines
    and (c.level <> 'campaign' or :is_over_all) and (c.level <> 'unit' or c.branch_code is not null)
order by
    array_position(array['all', 'campaign', 'unit', 'team', 'agent'], c.level), c.campaign, c.branch_code, c.team,
    s.name nulls last

-- name: read_effect
-- What the hold-out showed of the cycles observed: left with a ticket, left without, and the difference with its interval.
select
    e.campaign, e.cycle,
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
where
    e.campaign = any(cast(:campaigns as text [])) and e.revision = 0 and e.slice = 'arm'
    and (e.metric = 'churn_rate' or e.metric like 'churn_avoided%' or e.metric = 'incremental_saves')
group by e.campaign, e.cycle
order by e.cycle desc, e.campaign
limit :limit

-- name: read_outreach
-- What became of the secondary tier.
select o.campaign, o.decision, o.channel, cast(sum(o.subscribers) as bigint) as subscribers
from board_outreach as o
where o.campaign = any(cast(:campaigns as text [])) and o.cycle = any(cast(:cycles as text []))
group by o.campaign, o.decision, o.channel
order by o.campaign, o.decision, o.channel

-- name: read_pots
-- The pots that run on a day: everybody's, and those of the viewer's branch line; all of them for a manager.
select
    p.campaign, p.branch_code, p.starts_on, p.ends_on, p.limit_yuan, p.reserved_yuan, p.committed_yuan,
    p.limit_yuan - p.reserved_yuan - p.committed_yuan as left_yuan,
    cast((p.reserved_yuan + p.committed_yuan) / nullif(p.limit_yuan, 0) as double precision) as used_share
from budget_pots as p
where
    p.campaign = any(cast(:campaigns as text [])) and :day between p.starts_on and p.ends_on
    and (:everybody or p.branch_code is null or p.branch_code = any(branch_line(:branch_code)))
order by p.campaign, p.branch_code nulls first, p.starts_on

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
-- When each stage last finished.
select s.campaign, s.stage, max(s.finished_at) as finished_at
from board_stages as s
where s.campaign = any(cast(:campaigns as text [])) and s.cycle = any(cast(:cycles as text []))
group by s.campaign, s.stage
order by s.campaign, finished_at
