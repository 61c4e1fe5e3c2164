-- name: warn_clocks
-- Clocks that should warn and have not: stamped once, with a notice to the assignee or the team's lead.
with warned as (
    update ticket_clocks as c
    set warned_at = :now
    where
        c.met_at is null and c.voided_at is null and c.warned_at is null and c.breached_at is null
        -- what is past its deadline was breached a moment ago
        and c.warn_at <= :now and not rests_clock(c.ticket_id, c.due_at)
    -- looked up for those alone: a join might read every ticket
    returning
        c.ticket_id, c.clock, c.round, c.due_at,
        (select t.assignee_id from tickets as t where t.ticket_id = c.ticket_id) as assignee_id
),

told as (
    insert into notices (dedupe_key, kind, audience, staff_id, ticket_id, details, created_at)
    select
        format('warn/%s/%s/%s/%s', ticket_id, clock, round, due_at at time zone 'Asia/Shanghai'),
        'clock_warned',
        case when assignee_id is null then 'lead' else 'assignee' end,
        assignee_id,
        ticket_id,
        jsonb_build_object('clock', clock, 'due_at', due_at),
        :now
    from warned
    on conflict (dedupe_key) do nothing
)

select count(*) as clocks
from warned

-- name: breach_clocks
-- Clocks past their deadline: breached at the deadline, noticed at this tick, to be told at once.
with breached as (
    update ticket_clocks
    set breached_at = due_at, noticed_at = :now, escalate_at = due_at
    where
        met_at is null and voided_at is null and breached_at is null and due_at < :now
        and not rests_clock(ticket_id, due_at)
    returning ticket_id
)

select count(*) as clocks
from breached

-- name: find_due_escalations
-- The kinds of open breaches whose next level may be due, for the calendar to say how far each has climbed.
select distinct breached_at, escalated_to, explanation -> 'terms' -> 'layers' as layers
from ticket_clocks
where
    met_at is null and voided_at is null and escalate_at is not null and escalate_at <= :now
    and not rests_clock(ticket_id, escalate_at)

-- name: escalate_clocks
-- Raise open breaches to the level the calendar says is due, and tell only that level.
with due as (
    select breached_at, escalated_to, layers, level, escalate_at
    from jsonb_to_recordset(cast(:levels as jsonb)) as given (
        breached_at timestamptz, escalated_to text, layers jsonb, level text, escalate_at timestamptz
    )
),

judged as (
    update ticket_clocks as c
    set escalated_to = due.level, escalate_at = due.escalate_at
    from due
    where
        c.met_at is null and c.voided_at is null and c.escalate_at is not null and c.escalate_at <= :now
        and not rests_clock(c.ticket_id, c.escalate_at)
        and c.breached_at = due.breached_at and c.escalated_to is not distinct from due.escalated_to
        and c.explanation -> 'terms' -> 'layers' is not distinct from due.layers
    returning
        c.ticket_id, c.clock, c.round, c.due_at, c.escalated_to, due.escalated_to as was,
        (select t.assignee_id from tickets as t where t.ticket_id = c.ticket_id) as assignee_id
),

raised as (select * from judged where escalated_to is distinct from was),

told as (
    insert into notices (dedupe_key, kind, audience, staff_id, ticket_id, details, created_at)
    select
        format('breach/%s/%s/%s/%s', ticket_id, clock, round, escalated_to),
        'clock_breached',
        -- a ticket nobody has taken is the lead's from the start
        case when escalated_to = 'assignee' and assignee_id is null then 'lead' else escalated_to end,
        case when escalated_to = 'assignee' then assignee_id end,
        ticket_id,
        jsonb_build_object('clock', clock, 'due_at', due_at),
        :now
    from raised
    on conflict (dedupe_key) do nothing
)

select count(*) as clocks
from raised

-- name: notice_overdue_tasks
-- Tasks of other units past their deadline: stamped once, told to who works the ticket or took the call.
with overdue as (
    update linked_tasks
    set overdue_noticed_at = :now
    where done_at is null and overdue_noticed_at is null and due_at < :now
    returning task_id, ticket_id, unit, due_at, opened_by
),

told as (
    insert into notices (dedupe_key, kind, audience, staff_id, ticket_id, details, created_at)
    select
        format('task/%s', o.task_id), 'task_overdue',
        case when t.ticket_id is not null and t.assignee_id is null then 'lead' else 'assignee' end,
        case when t.ticket_id is null then o.opened_by else t.assignee_id end,
        o.ticket_id, jsonb_build_object('unit', o.unit, 'due_at', o.due_at), :now
    from overdue as o
    left join tickets as t on o.ticket_id = t.ticket_id
    on conflict (dedupe_key) do nothing
)

select count(*) as tasks
from overdue

-- name: forget_beat
-- A simulated watcher was here; the real one is awaited anew.
delete from heartbeats
where name = :name

-- name: beat
-- The watcher has finished a tick.
insert into heartbeats (name, ticked_at, facts)
values (:name, :now, cast(:facts as jsonb))
on conflict (name) do update set ticked_at = excluded.ticked_at, facts = excluded.facts
