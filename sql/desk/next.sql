-- name: hold_next
-- The most urgent ticket the person may work, held for them: their own first, then those of nobody in the team that
-- lie in no pool.
with urgent as (
    select t.ticket_id
    from tickets as t
    left join ticket_holds as h on t.ticket_id = h.ticket_id
    left join lateral (
        select a.attempted_at, a.call_back_at
        from contact_attempts as a
        -- before its first contact a ticket is assigned, and has nothing to look for
        where a.ticket_id = t.ticket_id and t.state = 'in_progress'
        order by a.attempted_at desc, a.attempt_id desc
        limit 1
    ) as last on true
    where
        t.state in ('assigned', 'in_progress') and t.frozen_at is null
        and not is_stopped(t.campaign, t.team, t.region_code, t.branch_code)
        and (t.assignee_id = :staff_id or (t.assignee_id is null and t.team = :team and not t.is_pool))
        and (h.held_until is null or h.held_until <= :now or h.staff_id = :staff_id)
        -- a promised call comes when it is due, another try only after a rest
        and coalesce(last.call_back_at <= :now, last.attempted_at <= :rested_since, true)
        and not exists (
            select 1 from ticket_skips as k
            where k.ticket_id = t.ticket_id and k.staff_id = :staff_id and k.day = cast(:today as date)
        )
    order by
        last.call_back_at is null, t.assignee_id is null, coalesce(t.due_at, 'infinity'), t.rank, t.ticket_id
    for update of t skip locked
),

-- asked one after the other, until the first whose customer may be contacted
wanted as (
    select ticket_id
    from urgent
    where limit_of_ticket(ticket_id, cast(:today as date)) is null
    limit 1
),

held as (
    insert into ticket_holds (ticket_id, staff_id, held_until)
    select ticket_id, :staff_id, cast(:held_until as timestamptz)
    from wanted
    on conflict (ticket_id) do update
        set staff_id = excluded.staff_id, held_until = excluded.held_until
        where ticket_holds.held_until <= :now or ticket_holds.staff_id = excluded.staff_id
    returning ticket_id
)

select wanted.ticket_id, held.ticket_id is not null as is_held
from wanted
left join held on wanted.ticket_id = held.ticket_id

-- name: find_hold
-- Who holds a ticket just now.
select h.staff_id, h.held_until, s.name
from ticket_holds as h
inner join staff as s on h.staff_id = s.staff_id
where h.ticket_id = :ticket_id and h.held_until > :now

-- name: end_hold
-- The person gives back the ticket they hold; its number when they held it.
delete from ticket_holds
where ticket_id = :ticket_id and staff_id = :staff_id
returning ticket_id

-- name: count_skips
-- The tickets the person passed by today.
select count(*)
from ticket_skips
where staff_id = :staff_id and day = cast(:today as date)

-- name: record_skip
-- A ticket passed by, and why when it had to be said.
insert into ticket_skips (ticket_id, staff_id, skipped_at, note)
values (:ticket_id, :staff_id, :now, :note)

-- name: claim_from_pool
-- The next ticket of the team's pools that the quota leaves to the person, theirs from now on, with its event.
with pools as materialized (
    select lying.campaign, lying.cycle
    from (
        select distinct campaign, cycle
        from tickets
        where is_pool and assignee_id is null and team = :team and state in ('assigned', 'in_progress')
    ) as lying
    inner join unnest(cast(:campaigns as text []), cast(:quotas as integer [])) as known (campaign, quota)
        on lying.campaign = known.campaign
    where known.quota is null or count_pool_claims(lying.campaign, lying.cycle) < known.quota
),

best as (
    select t.ticket_id
    from tickets as t
    inner join pools on t.campaign = pools.campaign and t.cycle = pools.cycle
    left join lateral (
        select a.attempted_at, a.call_back_at
        from contact_attempts as a
        -- only one that was handed back has been tried
        where a.ticket_id = t.ticket_id and t.state = 'in_progress'
        order by a.attempted_at desc, a.attempt_id desc
        limit 1
    ) as last on true
    where
        t.is_pool and t.assignee_id is null and t.team = :team and t.state in ('assigned', 'in_progress')
        and not is_stopped(t.campaign, t.team, t.region_code, t.branch_code)
        and t.frozen_at is null
        and coalesce(last.call_back_at <= :now, last.attempted_at <= :rested_since, true)
        and not exists (
            select 1 from ticket_events as e
            where e.ticket_id = t.ticket_id and e.staff_id = :staff_id and e.kind = 'hand_back'
        )
    -- a promise that is due goes before every rank
    order by last.call_back_at is null, t.precedence, t.cycle, t.rank, t.ticket_id
    for update of t skip locked
),

-- asked one after the other, until the first whose customer may be contacted
wanted as (
    select ticket_id
    from best
    where limit_of_ticket(ticket_id, cast(:today as date)) is null
    limit 1
),

claimed as (
    update tickets as t
    set assignee_id = :staff_id, version = t.version + 1
    from wanted
    where t.ticket_id = wanted.ticket_id
    returning t.ticket_id, t.version, t.state
)

insert into ticket_events (ticket_id, version, kind, from_state, to_state, staff_id, actor, occurred_at, details)
select ticket_id, version, 'claim', claimed.state as from_state, claimed.state as to_state, :staff_id, :actor, :now, '{"pool": true}'
from claimed
returning ticket_id

-- name: find_used_quota
-- The first pool with tickets left that gives the person no more, for they have had their quota.
select lying.campaign, known.quota
from (
    select campaign, cycle, min(precedence) as precedence
    from tickets
    where
        is_pool and assignee_id is null and team = :team and state in ('assigned', 'in_progress')
        and frozen_at is null and not is_stopped(campaign, team, region_code, branch_code)
    group by campaign, cycle
) as lying
inner join unnest(cast(:campaigns as text []), cast(:quotas as integer [])) as known (campaign, quota)
    on lying.campaign = known.campaign
where known.quota <= count_pool_claims(lying.campaign, lying.cycle)
order by lying.precedence, lying.cycle, lying.campaign
limit 1
