-- name: list_campaigns
-- Every campaign that ever opened a cycle, and whether all of them were shadows.
select c.campaign, bool_and(c.is_shadow) as is_shadow
from cycles as c
group by c.campaign

-- name: list_periods
-- The newest keys of cycles of these campaigns, or of all of them together the months the keys lie in (`length` 7).
select distinct left(c.cycle, :length) as period
from cycles as c
where c.campaign = any(cast(:campaigns as text [])) and (:shadows or not c.is_shadow)
order by period desc
limit :limit

-- name: list_cycles
-- The cycles of these campaigns in some periods.
select c.campaign, c.cycle, left(c.cycle, :length) as period, c.is_shadow
from cycles as c
where
    c.campaign = any(cast(:campaigns as text [])) and (:shadows or not c.is_shadow)
    and left(c.cycle, :length) = any(cast(:periods as text []))
order by c.cycle, c.campaign

-- name: read_shadow
-- What a shadow cycle would have done, together and per team.
select
    case grouping(d.team) when 1 then 'all' else 'team' end as level,
    d.team,
    coalesce(cast(sum(d.subscribers) filter (where d.decision = 'treated') as bigint), 0) as would_call,
    coalesce(cast(sum(d.subscribers) filter (where d.decision = 'held_out') as bigint), 0) as held_out,
    coalesce(cast(sum(d.subscribers) filter (where d.decision = 'not_reached') as bigint), 0) as not_reached,
    coalesce(cast(sum(d.subscribers) filter (where d.decision = 'ineligible') as bigint), 0) as left_out
from board_decisions as d
where d.campaign = any(cast(:campaigns as text [])) and d.cycle = any(cast(:cycles as text []))
group by grouping sets ((), (d.team))
having count(*) > 0
order by grouping(d.team) desc, d.team

-- name: read_suppressed
-- Whom dispatch left out, why, and to which campaign they are left.
select s.campaign, s.reason, s.yields_to, cast(sum(s.subscribers) as bigint) as subscribers
from board_suppressed as s
inner join cycles as c on s.campaign = c.campaign and s.cycle = c.cycle
where
    s.campaign = any(cast(:campaigns as text [])) and s.cycle = any(cast(:cycles as text []))
    and (:shadows or not c.is_shadow)
group by s.campaign, s.reason, s.yields_to
order by s.campaign, subscribers desc, s.reason, s.yields_to

-- name: read_splits
-- Tickets and the three rates by what the campaign splits its list by, and by who shares the figure and who leads.
with worked as (
    select
        t.released_at, t.is_answered, t.is_completed, t.shared_by, t.led_by, s.splits,
        coalesce(t.campaign || '/' || t.outcome = any(cast(:willing as text [])), false) or t.is_processed as is_willing
    from board_work(cast(:campaigns as text []), cast(:cycles as text [])) as t
    left join board_splits(cast(:campaigns as text []), cast(:cycles as text [])) as s on t.ticket_id = s.ticket_id
),

counted as (
    select
        t.splits, t.shared_by, t.led_by,
        count(*) as dispatched,
        count(t.released_at) as released,
        count(*) filter (where t.released_at is not null and (t.is_answered or t.is_willing)) as reached,
        count(*) filter (where t.released_at is not null and t.is_willing) as willing,
        count(*) filter (where t.released_at is not null and t.is_completed) as completed
    from worked as t
    group by t.splits, t.shared_by, t.led_by
),

told as (
    select
        each.kind, each.value,
        cast(sum(c.dispatched) as bigint) as dispatched, cast(sum(c.released) as bigint) as released,
        cast(sum(c.reached) as bigint) as reached, cast(sum(c.willing) as bigint) as willing,
        cast(sum(c.completed) as bigint) as completed,
        row_number() over (partition by each.kind order by sum(c.dispatched) desc, each.value) as place
    from counted as c
    cross join lateral (
        select s.key, s.value from jsonb_each_text(c.splits) as s
        union all
        select 'shared_by', c.shared_by where c.shared_by is not null
        union all
        select 'led_by', c.led_by where c.led_by is not null
    ) as each (kind, value)
    group by each.kind, each.value
)

select
    t.kind, coalesce(s.name, t.value) as value, t.dispatched, t.released, t.reached, t.willing, t.completed,
    cast(t.reached as double precision) / nullif(t.released, 0) as reached_share,
    cast(t.willing as double precision) / nullif(t.reached, 0) as willing_share,
    cast(t.completed as double precision) / nullif(t.willing, 0) as completed_share
from told as t
left join staff as s on t.kind in ('shared_by', 'led_by') and t.value = s.staff_code
where t.place <= :limit
order by array_position(cast(:splits as text []) || array['shared_by', 'led_by'], t.kind), t.kind, t.place

-- name: read_success
-- Of the newest dispatched cycles how many of each arm succeeded; nothing yet where nobody knows.
with newest as (
    select c.campaign, c.cycle, c.known_on
    from cycles as c
    where c.campaign = any(cast(:campaigns as text [])) and c.fixed_at is not null and not c.is_shadow
    order by c.cycle desc, c.campaign
    limit :limit
),

known as (
    select
        e.campaign, e.cycle, e.slice_value as arm,
        max(e.subscribers) filter (where e.metric = 'success_rate') as subscribers,
        max(e.value) filter (where e.metric = 'succeeded') as succeeded,
        max(e.value) filter (where e.metric = 'success_rate') as success_rate,
        max(e.evaluated_at) as evaluated_at
    from evaluations as e
    where
        e.campaign = any(cast(:campaigns as text [])) and e.revision = 0 and e.slice = 'arm'
        and e.metric in ('succeeded', 'success_rate') and e.slice_value in ('treated', 'held_out')
    group by e.campaign, e.cycle, e.slice_value
),

gained as (
    select
        e.campaign, e.cycle,
        max(e.value) filter (where e.metric = 'success_gained') as gained,
        max(e.value) filter (where e.metric = 'success_gained_low') as gained_low,
        max(e.value) filter (where e.metric = 'success_gained_high') as gained_high
    from evaluations as e
    where
        e.campaign = any(cast(:campaigns as text [])) and e.revision = 0 and e.slice = 'arm'
        and e.metric in ('success_gained', 'success_gained_low', 'success_gained_high')
    group by e.campaign, e.cycle
)

select
    n.campaign, n.cycle, n.known_on, k.arm, cast(k.succeeded as bigint) as succeeded, k.subscribers,
    k.success_rate, k.evaluated_at,
    case when k.arm = 'treated' then g.gained end as gained,
    case when k.arm = 'treated' then g.gained_low end as gained_low,
    case when k.arm = 'treated' then g.gained_high end as gained_high
from newest as n
left join known as k on n.campaign = k.campaign and n.cycle = k.cycle
left join gained as g on n.campaign = g.campaign and n.cycle = g.cycle
order by n.cycle desc, n.campaign, k.arm desc

-- name: read_exposure
-- What else reached the people of measured campaigns before their horizon ended, by arm.
select e.campaign, e.arm, e.assigned, e.by_service, e.by_unmeasured, e.by_measured, e.began_talk
from board_exposure(cast(:campaigns as text []), cast(:cycles as text []), cast(:service as text [])) as e
order by e.campaign, e.arm desc
