-- name: stop
-- Stop outbound on the word of whoever operates the loop; nothing when such a stop stands already.
insert into outbound_stops (scope, what, because, stopped_at, stopped_by)
values (:scope, :what, :because, :now, :by)
on conflict (scope, coalesce(what, '')) where lifted_at is null do nothing
returning stop_id

-- name: lift
-- Lift a stop; nothing when it is lifted already or there is none.
update outbound_stops
set lifted_at = greatest(cast(:now as timestamptz), stopped_at), lifted_by = :by
where stop_id = :stop_id and lifted_at is null
returning scope, what

-- name: record_audit
-- Who stopped or lifted what, and why.
insert into audit_log (happened_at, actor, action, subject, details)
values (:now, :by, :action, :subject, cast(:details as jsonb))

-- name: read_stops
-- The stops that stand, and the last ones lifted; `by_lead_of` the team whose lead stopped it, else a manager or command.
select
    stop_id, scope, what, because, stopped_at, stopped_by, lifted_at, lifted_by, rested_at,
    (select b.team from staff as b where b.staff_code = stopped_by and b.role = 'lead') as by_lead_of
from outbound_stops
order by lifted_at is not null, coalesce(lifted_at, stopped_at) desc, stop_id
limit 60

-- name: is_region_known
-- Whether any ticket or branch is of a region: a slip would else stop nothing.
select count(*) > 0 as is_known
from (
    select 1 from tickets where region_code = :what
    union all
    select 1 from branches where region_code = :what
    limit 1
) as found

-- name: stop_at_desk
-- Stop outbound in the name of the lead or manager who works; null when such a stop stands already.
select stop_outbound(:scope, :what, :because, :now)

-- name: lift_at_desk
-- Lift a stop in their name; null when it is lifted already or not theirs.
select lift_stop(:stop_id, :now)

-- name: find_to_rest
-- Stops that were lifted and whose deadlines are still to be moved, the first one first.
select stop_id, scope, what, stopped_at, lifted_at
from outbound_stops
where lifted_at is not null and rested_at is null
order by stop_id
for update

-- name: find_held_clocks
-- The kinds of running clocks a stop held up.
select k.clock, k.started_at, k.explanation
from ticket_clocks as k
inner join tickets as t on k.ticket_id = t.ticket_id
where
    k.met_at is null and k.voided_at is null and k.breached_at is null
    and k.started_at < :lifted_at and k.due_at >= :stopped_at
    and stop_covers(:scope, :what, t.campaign, t.team, t.region_code, t.branch_code)
group by k.clock, k.started_at, k.explanation

-- name: rest_clocks
-- Move the deadlines a stop held up, with an event on every ticket.
with moves as (
    select *
    from jsonb_to_recordset(cast(:moves as jsonb)) as given (
        clock text, started_at timestamptz, old jsonb, due_at timestamptz, warn_at timestamptz, is_provisional boolean,
        explanation jsonb
    )
),

moved as (
    update ticket_clocks as k
    set
        due_at = moves.due_at, warn_at = moves.warn_at, is_provisional = moves.is_provisional,
        explanation = moves.explanation
    from moves, tickets as t
    where
        k.clock = moves.clock and k.started_at = moves.started_at and k.explanation = moves.old
        and k.met_at is null and k.voided_at is null and k.breached_at is null and k.due_at >= :stopped_at
        and k.ticket_id = t.ticket_id
        and stop_covers(:scope, :what, t.campaign, t.team, t.region_code, t.branch_code)
    returning k.ticket_id, k.clock, k.due_at
),

changed as (
    update tickets as t
    set version = t.version + 1
    where t.ticket_id in (select moved.ticket_id from moved)
    returning t.ticket_id, t.version, t.state
),

told as (
    insert into ticket_events (ticket_id, version, kind, from_state, to_state, actor, occurred_at, details)
    select
        c.ticket_id, c.version, 'recompute', c.state as from_state, c.state as to_state, 'loop', :now,
        jsonb_build_object(
            'why', 'outbound was stopped', 'stop', cast(:stop_id as bigint),
            'clocks', (select jsonb_object_agg(m.clock, m.due_at) from moved as m where m.ticket_id = c.ticket_id)
        )
    from changed as c
)

select count(*) as tickets from changed

-- name: mark_rested
-- The deadlines a stop held up are moved.
update outbound_stops set rested_at = :now where stop_id = :stop_id

-- name: read_rests
-- The stops that held up a ticket's clock since it began, and whose days therefore rest.
select s.stopped_at, s.lifted_at
from outbound_stops as s
inner join tickets as t on t.ticket_id = :ticket_id
where
    s.rested_at is not null and s.lifted_at > :started_at
    and stop_covers(s.scope, s.what, t.campaign, t.team, t.region_code, t.branch_code)
order by s.stopped_at
