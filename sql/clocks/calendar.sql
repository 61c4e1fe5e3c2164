-- name: count_published_days
-- How many days of a span a layer holds from a source that is not provisional.
select count(*) as days
from work_days
where layer = :layer and date between :first and :last and source <> 'provisional'

-- name: store_work_days
-- A published day replaces a provisional one; nothing else is overwritten.
insert into work_days (layer, date, is_working, name, source)
select layer, date, is_working, name, source
from jsonb_to_recordset(cast(:rows as jsonb))
    as given (layer text, date date, is_working boolean, name text, source text)
on conflict (layer, date) do update set
    is_working = excluded.is_working,
    name = excluded.name,
    source = excluded.source
where work_days.source = 'provisional' and excluded.source <> 'provisional'

-- name: read_work_days
-- The stored days of the layers in use.
select date, is_working, name, source, layer
from work_days
where layer = any(cast(:layers as text [])) and date >= :since

-- name: read_print_of_days
-- What the stored days of the layers in use come to as one number: another day, another number.
select
    count(*) as days,
    sum(hashtextextended(concat_ws('|', layer, date, is_working, coalesce(name, ''), source), 0)) as print
from work_days
where layer = any(cast(:layers as text [])) and date >= :since

-- name: read_drafted_days
-- The stored days of the layers in use as they would be with the drafted ones.
select
    date,
    coalesce(d.is_working, w.is_working) as is_working,
    case when d.date is null then w.name else d.name end as name,
    coalesce(d.source, w.source) as source,
    layer
from work_days as w
full join work_day_drafts as d using (layer, date)
where layer = any(cast(:layers as text [])) and date >= :since and (d.date is null or d.is_working is not null)

-- name: read_branches_above
-- Every branch with those it reports to, the topmost first.
select
    branch_code,
    array(
        select above from unnest(branch_line(branch_code)) with ordinality as line (above, place)
        where above <> branch_code
        order by place desc
    ) as above
from branches

-- name: work_with_calendar
-- Until this transaction ends nobody changes the calendar; many may hold this at once.
select pg_advisory_xact_lock_shared(hashtextextended('calendar', 0))

-- name: change_calendar
-- Wait for the stages that work with the calendar, and keep the next ones waiting until this transaction ends.
select pg_advisory_xact_lock(hashtextextended('calendar', 0))

-- name: hold_tickets
-- Let the actions under way on tickets end and the next ones wait; looking at tickets goes on.
lock table tickets in exclusive mode

-- name: draft_day
-- Note a day to be changed; a null is_working takes the layer's own day away.
insert into work_day_drafts (layer, date, is_working, name, source, drafted_by, drafted_at)
values (:layer, :date, :is_working, :name, :source, :actor, :now)
on conflict (layer, date) do update set
    is_working = excluded.is_working,
    name = excluded.name,
    source = excluded.source,
    drafted_by = excluded.drafted_by,
    drafted_at = excluded.drafted_at

-- name: read_drafts
-- The days noted but not applied, beside what stands.
select
    d.layer, d.date, d.is_working, d.name, d.source, d.drafted_by, w.is_working as was_working, w.source as was_source
from work_day_drafts as d
left join work_days as w on d.layer = w.layer and d.date = w.date
order by d.layer, d.date

-- name: read_days
-- What stands for a span of days in every layer.
select layer, date, is_working, name, source
from work_days
where date between :first and :last and (layer <> 'cn' or name is not null or source = 'provisional')
order by date, layer

-- name: remove_days
-- Days a draft takes away from their layer.
delete from work_days as w
using work_day_drafts as d
where w.layer = d.layer and w.date = d.date and d.is_working is null

-- name: put_days
-- Days a draft sets, whatever stood before.
insert into work_days (layer, date, is_working, name, source)
select layer, date, is_working, name, source
from work_day_drafts
where is_working is not null
on conflict (layer, date) do update set
    is_working = excluded.is_working,
    name = excluded.name,
    source = excluded.source

-- name: clear_drafts
-- Nothing is drafted any more.
delete from work_day_drafts

-- name: record_change
-- Who changed the calendar, how, and what it moved.
insert into audit_log (happened_at, actor, action, subject, details)
values (:now, :actor, 'calendar', 'work_days', cast(:details as jsonb))

-- name: find_running_clocks
-- The clocks that still run towards a deadline that lies ahead, those counted alike as one.
select clock, explanation, warn_at, due_at, is_provisional, count(*) as clocks
from ticket_clocks
where met_at is null and voided_at is null and breached_at is null and due_at >= :now
group by clock, explanation, warn_at, due_at, is_provisional

-- name: count_moved_tickets
-- How many tickets these moves would give another deadline, and how many a settled one.
with moves as (
    select clock, old, old_due_at, due_at
    from jsonb_to_recordset(cast(:moves as jsonb))
        as given (clock text, old jsonb, old_due_at timestamptz, due_at timestamptz)
)

select
    count(distinct c.ticket_id) filter (where m.due_at <> m.old_due_at) as tickets,
    count(distinct c.ticket_id) filter (where m.due_at < m.old_due_at) as earlier
from ticket_clocks as c
inner join moves as m on c.clock = m.clock and c.explanation = m.old and c.due_at = m.old_due_at
where c.met_at is null and c.voided_at is null and c.breached_at is null and c.due_at >= :now

-- name: move_clocks
-- The running clocks counted anew, an event for each ticket that this gives another or a settled deadline.
with moves as (
    select *
    from jsonb_to_recordset(cast(:moves as jsonb)) as given (
        clock text, old jsonb, old_due_at timestamptz, was_provisional boolean,
        warn_at timestamptz, due_at timestamptz, is_provisional boolean, explanation jsonb
    )
),

moved as (
    update ticket_clocks as c
    set
        warn_at = m.warn_at,
        due_at = m.due_at,
        is_provisional = m.is_provisional,
        explanation = m.explanation,
        warned_at = case when m.warn_at > :now then null else c.warned_at end
    from moves as m
    where
        c.clock = m.clock and c.explanation = m.old and c.due_at = m.old_due_at
        and c.met_at is null and c.voided_at is null and c.breached_at is null and c.due_at >= :now
    returning c.ticket_id, c.clock, c.round, m.old_due_at, c.due_at, m.was_provisional, c.is_provisional
),

changes as (
    select
        ticket_id,
        bool_or(due_at <> old_due_at) as is_moved,
        jsonb_agg(jsonb_build_object(
            'clock', clock, 'old_due_at', old_due_at, 'new_due_at', due_at, 'is_provisional', is_provisional
        ) order by clock) as clocks
    from moved
    where due_at <> old_due_at or is_provisional <> was_provisional
    group by ticket_id
),

changed as (
    update tickets as t
    set version = t.version + 1
    from changes as c
    where t.ticket_id = c.ticket_id
    returning t.ticket_id, t.version, t.state, t.assignee_id, c.is_moved, c.clocks
),

remembered as (
    insert into ticket_events (ticket_id, version, kind, from_state, to_state, actor, occurred_at, details)
    select
        c.ticket_id, c.version, 'recompute', c.state as from_state, c.state as to_state, cast(:actor as text), :now,
        jsonb_build_object('clocks', c.clocks, 'why', cast(:why as text))
    from changed as c
),

told as (
    insert into notices (dedupe_key, kind, audience, staff_id, ticket_id, details, created_at)
    select
        format('moved/%s/%s', ticket_id, version), 'deadline_moved',
        case when assignee_id is null then 'lead' else 'assignee' end,
        assignee_id, ticket_id, jsonb_build_object('clocks', clocks), :now
    from changed
    where is_moved
)

select count(*) filter (where is_moved) as moved, count(*) as changed from changed

-- name: ask_escalations_again
-- How far an open breach has climbed is judged anew at the next tick, by the calendar that stands then.
update ticket_clocks
set escalate_at = :now
where met_at is null and voided_at is null and escalate_at is not null

-- name: read_clock
-- The clocks of a ticket with their explanation.
select t.campaign, c.clock, c.round, c.due_at, c.explanation
from ticket_clocks as c
inner join tickets as t on c.ticket_id = t.ticket_id
where c.ticket_id = :ticket_id
order by c.round, c.clock
