-- name: read_unfinished
-- The subscribers of every ticket that is still to be worked, whatever its campaign.
select distinct subscriber_id
from tickets
where not is_finished(state)
order by subscriber_id

-- name: read_loaded
-- By month of the feed, the fingerprint of what the table of standing limits was filled from.
select facts -> 'loaded' as loaded
from heartbeats
where name = 'limits'

-- name: stage_holders
-- The numbers that went to somebody new by what the lake knows.
create temporary table holders_given (like new_holders) on commit drop

-- name: forget_holders
-- What the lake knows otherwise now; what happened before the days it tells of (since) stays.
delete from new_holders as n
where
    n.left_on >= cast(:since as date)
    and not exists (select 1 from holders_given as g where g.subscriber_id = n.subscriber_id)

-- name: keep_holders
-- Numbers that went to somebody new, or to the next one; what stands already is left alone.
insert into new_holders (subscriber_id, left_on, joined_on)
select subscriber_id, left_on, joined_on
from holders_given
order by subscriber_id
on conflict (subscriber_id) do update
    set left_on = excluded.left_on, joined_on = excluded.joined_on
    where (new_holders.left_on, new_holders.joined_on) is distinct from (excluded.left_on, excluded.joined_on)

-- name: read_holders
-- Every number that went to somebody new.
select subscriber_id, left_on, joined_on
from new_holders
order by subscriber_id

-- name: read_in_force
-- Every limit that has not ended, whose it is and whether it holds for the number; the erased are told of no more.
select subscriber_id, said_on, holds_for_number
from limits_in_force
where (valid_to is null or valid_to >= :today) and subscriber_id !~ '^erased-'

-- name: forget_months
-- The limits of these months of the feed give way to what their deliveries say now.
delete from standing_limits
where month = any(cast(:months as text []))

-- name: stage_limits
-- The limits of the feed on their way into the table, which its row-level security closes to bulk loading.
create temporary table limits_given (
    subscriber_id text not null,
    customer_key text not null,
    kind text not null,
    valid_from date not null,
    valid_to date,
    month text not null
) on commit drop

-- name: keep_limits
-- What the feed says stands.
insert into standing_limits (
    subscriber_id, customer_key, kind, valid_from, valid_to, month, recorded_at
)
select subscriber_id, customer_key, kind, valid_from, valid_to, month, :now
from limits_given
order by subscriber_id, month

-- name: count_standing
-- How many limits stand on a day, by kind: of the feed, and what was told at the desk.
select kind, count(*) as limits
from limits_in_force
where valid_from <= :today and (valid_to is null or valid_to >= :today) and (holds_for_number or holds_for_customer)
group by kind
order by kind

-- name: read_unresolved
-- Refusals told at the desk that stand under an id as it was typed: nobody knew a customer of it.
select refusal_id, subscriber_id, cast(refused_at at time zone 'Asia/Shanghai' as date) as said_on
from refusals
where customer_key = subscriber_id and subscriber_id !~ '^erased-' and not awaits_lead
order by refusal_id

-- name: resolve_refusals
-- They hold for the subscriber and customer they are about, too, as the profiles know them; how many are new.
with resolved as (
    insert into refusals as stands (
        customer_key, subscriber_id, refused_at, staff_id, ticket_id, inbound_id, words
    )
    select
        about.customer_key, about.subscriber_id, max(r.refused_at), max(r.staff_id), max(r.ticket_id),
        max(r.inbound_id), max(r.words)
    from unnest(
        cast(:refusal_ids as bigint []), cast(:subscribers as text []), cast(:customers as text [])
    ) as about (refusal_id, subscriber_id, customer_key)
    inner join refusals as r on about.refusal_id = r.refusal_id
    group by about.customer_key, about.subscriber_id
    on conflict (customer_key, subscriber_id) do update set refused_at = excluded.refused_at
    where stands.refused_at < excluded.refused_at
    returning (xmax = 0) as is_new
)

select count(*) filter (where is_new) as refusals
from resolved

-- name: stage_leaving
-- Who is gone or porting out, on the way to the statements below.
create temporary table limits_stage (
    subscriber_id text primary key,
    reason text not null
) on commit drop

-- name: stage_limited
-- Unfinished tickets under a limit that ends them (of the feed, or said to the desk), for the number or its customer.
create temporary table limited_stage on commit drop as
with unfinished as (
    select ticket_id, subscriber_id, customer_key
    from tickets
    where not is_finished(state)
),

standing as (
    select *
    from limits_in_force
    where
        kind <> 'contacted_elsewhere' and valid_from <= :today and (valid_to is null or valid_to >= :today)
        -- what waits for a lead to confirm it bars, and ends nothing yet
        and not awaits_lead
),

limited as (
    select u.ticket_id, s.kind, s.gravity
    from unfinished as u
    inner join standing as s on u.subscriber_id = s.subscriber_id and s.holds_for_number
    union
    select u.ticket_id, s.kind, s.gravity
    from unfinished as u
    inner join standing as s on u.customer_key = s.customer_key and s.holds_for_customer
)

select ticket_id, (array_agg(kind order by gravity))[1] as reason
from limited
group by ticket_id

-- name: lock_concerned
-- Every ticket the next statements may change, locked by number as everybody does, so that nobody waits in a ring.
select t.ticket_id
from tickets as t
where
    not is_finished(t.state)
    and (
        t.frozen_at is not null
        or t.subscriber_id in (select s.subscriber_id from limits_stage as s)
        or t.ticket_id in (select l.ticket_id from limited_stage as l)
    )
order by t.ticket_id
for update

-- name: cancel_tickets
-- Unfinished tickets of the gone and of those who refuse: cancelled, clocks void, whoever works them told.
with doomed as (
    select
        t.ticket_id,
        t.state,
        t.assignee_id,
        coalesce(s.reason, l.reason) as reason
    from tickets as t
    left join limits_stage as s on t.subscriber_id = s.subscriber_id and s.reason = 'gone'
    left join limited_stage as l on t.ticket_id = l.ticket_id
    where
        not is_finished(t.state)
        and (s.reason is not null or l.reason is not null)
    for update of t
),

cancelled as (
    update tickets as t
    set state = 'cancelled', version = t.version + 1, closed_at = :now, paused_until = null
    from doomed as d
    where t.ticket_id = d.ticket_id
    returning t.ticket_id, t.version, d.state as from_state, d.assignee_id, d.reason
),

stopped as (
    update ticket_clocks as c
    set
        voided_at = :now,
        breached_at = breached_when_stopped(c.due_at, :now),
        noticed_at = noticed_when_stopped(c.due_at, c.noticed_at, :now)
    from doomed as d
    where c.ticket_id = d.ticket_id and c.met_at is null and c.voided_at is null
),

told as (
    insert into ticket_events (ticket_id, version, kind, from_state, to_state, actor, occurred_at, details)
    select ticket_id, version, 'cancel', from_state, 'cancelled', 'loop', :now, jsonb_build_object('reason', reason)
    from cancelled
),

noticed as (
    insert into notices (dedupe_key, kind, audience, staff_id, ticket_id, details, created_at)
    select
        format('cancelled/%s/%s', ticket_id, version), 'ticket_cancelled',
        case when assignee_id is null then 'lead' else 'assignee' end,
        assignee_id, ticket_id, jsonb_build_object('reason', reason), :now
    from cancelled
    where from_state <> 'waiting'
    on conflict (dedupe_key) do nothing
)

select reason, count(*) as tickets
from cancelled
group by reason
order by reason

-- name: freeze_tickets
-- Unfinished tickets of port-out applicants: frozen, clocks void, a pause ended, whoever works them told.
with applied as (
    select t.ticket_id, t.state, t.assignee_id
    from tickets as t
    inner join limits_stage as s on t.subscriber_id = s.subscriber_id and s.reason = 'port_out_applied'
    where not is_finished(t.state) and t.frozen_at is null
    for update of t
),

frozen as (
    update tickets as t
    set
        state = case when a.state = 'paused' then 'in_progress' else a.state end,
        version = t.version + case when a.state = 'paused' then 2 else 1 end,
        paused_until = null,
        frozen_at = :now,
        frozen_because = 'port_out_applied'
    from applied as a
    where t.ticket_id = a.ticket_id
    returning t.ticket_id, t.version, t.state, a.state as from_state, a.assignee_id
),

stopped as (
    update ticket_clocks as c
    set
        voided_at = :now,
        breached_at = breached_when_stopped(c.due_at, :now),
        noticed_at = noticed_when_stopped(c.due_at, c.noticed_at, :now)
    from applied as a
    where c.ticket_id = a.ticket_id and c.met_at is null and c.voided_at is null
),

told as (
    insert into ticket_events (ticket_id, version, kind, from_state, to_state, actor, occurred_at, details)
    select ticket_id, version - 1, 'resume', 'paused', 'in_progress', 'loop', :now, '{}'::jsonb
    from frozen
    where from_state = 'paused'
    union all
    select ticket_id, version, 'freeze', state as was, state as stays, 'loop', :now, '{"reason": "port_out_applied"}'::jsonb
    from frozen
),

noticed as (
    insert into notices (dedupe_key, kind, audience, staff_id, ticket_id, details, created_at)
    select
        format('frozen/%s/%s', ticket_id, version), 'ticket_frozen',
        case when assignee_id is null then 'lead' else 'assignee' end,
        assignee_id, ticket_id, '{"reason": "port_out_applied"}'::jsonb, :now
    from frozen
    where from_state <> 'waiting'
    on conflict (dedupe_key) do nothing
)

select count(*) as tickets
from frozen

-- name: find_staying
-- Frozen tickets of those who stay after all, locked, with what their rules and calendar go by.
select t.ticket_id, t.campaign, t.cycle, t.tier, t.team, t.branch_code
from tickets as t
where
    not is_finished(t.state) and t.frozen_at is not null
    and not exists (select 1 from limits_stage as s where s.subscriber_id = t.subscriber_id)
order by t.ticket_id
for update of t

-- name: unfreeze_tickets
-- They go on, with a new round of every clock that was not met, each by the terms of its kind.
with staying as (
    select given.ticket_id, given.terms
    from unnest(cast(:ticket_ids as bigint []), cast(:terms as integer [])) as given (ticket_id, terms)
),

unfrozen as (
    update tickets as t
    set version = t.version + 1, frozen_at = null, frozen_because = null
    from staying as s
    where t.ticket_id = s.ticket_id
    returning t.ticket_id, t.version, t.state, t.assignee_id, s.terms
),

told as (
    insert into ticket_events (ticket_id, version, kind, from_state, to_state, actor, occurred_at)
    select ticket_id, version, 'unfreeze', state as was, state as stays, 'loop', :now
    from unfrozen
),

noticed as (
    insert into notices (dedupe_key, kind, audience, staff_id, ticket_id, details, created_at)
    select
        format('unfrozen/%s/%s', ticket_id, version), 'ticket_unfrozen',
        case when assignee_id is null then 'lead' else 'assignee' end,
        assignee_id, ticket_id, '{}'::jsonb, :now
    from unfrozen
    where state <> 'waiting'
    on conflict (dedupe_key) do nothing
),

started as (
    insert into ticket_clocks (
        ticket_id, clock, stops, round, started_at, warn_at, due_at, is_provisional, explanation
    )
    select
        u.ticket_id, c.clock, c.stops, last.round + 1, :now, c.warn_at, c.due_at, c.is_provisional, c.explanation
    from unfrozen as u
    inner join jsonb_to_recordset(cast(:clocks as jsonb)) as c (
        terms integer, clock text, stops text, warn_at timestamptz, due_at timestamptz, is_provisional boolean,
        explanation jsonb
    ) on u.terms = c.terms
    inner join lateral (
        select o.round, o.voided_at
        from ticket_clocks as o
        where o.ticket_id = u.ticket_id and o.clock = c.clock
        order by o.round desc
        limit 1
    ) as last on last.voided_at is not null
)

select count(*) as tickets
from unfrozen

-- name: look
-- The watch over the landing folder goes on; what lay there when it was tried and processed last, if anything.
insert into heartbeats (name, ticked_at, facts)
values ('take_in_changes', :now, '{}')
on conflict (name) do update set ticked_at = excluded.ticked_at
returning case when facts ->> 'tried' = facts ->> 'processed' then facts ->> 'tried' end as landed

-- name: note_landed
-- How far what lies in the landing folder has come: every delivery was tried, or the tickets go by it.
update heartbeats set facts = facts || jsonb_build_object(cast(:step as text), cast(:landed as text))
where name = 'take_in_changes'

-- name: beat
-- The limits have been processed, from these months of the feed.
insert into heartbeats (name, ticked_at, facts)
values ('limits', :now, cast(:facts as jsonb))
on conflict (name) do update set ticked_at = excluded.ticked_at, facts = excluded.facts
