-- name: identify
-- Who works in this transaction; row-level security goes by it.
select set_config('app.staff_id', :staff_id, true)

-- name: find_staff
-- The active person who acts.
select staff_id, staff_code, name, role, team
from staff
where staff_id = :staff_id and is_active

-- name: lock_ticket
-- The ticket as it stands, locked until the action is written; walled by what the person may see.
select
    ticket_id, campaign, cycle, tier, branch_code, subscriber_id, customer_key, state, version, team, assignee_id,
    released_at, paused_until, outcome, outcome_detail, is_willing, satisfaction, closed_at, merged_into, frozen_because,
    is_pool
from tickets
where ticket_id = :ticket_id
for no key update

-- name: see_ticket
-- The ticket as it stands, to look at.
select
    ticket_id, campaign, cycle, tier, branch_code, subscriber_id, customer_key, state, version, team, assignee_id,
    released_at, paused_until, outcome, outcome_detail, satisfaction, closed_at, merged_into, is_pool
from tickets
where ticket_id = :ticket_id

-- name: lock_in_order
-- Several tickets locked by number.
select ticket_id
from tickets
where ticket_id = any(:ticket_ids)
order by ticket_id
for no key update

-- name: lock_tickets_of_customer
-- Every unfinished ticket of the customer locked by number, also those the person may not see.
select lock_tickets_of_customer(cast(:ticket_id as bigint))

-- name: last_event
-- Who changed the ticket last, and how.
select e.kind, coalesce(s.name, e.actor) as actor, e.occurred_at
from ticket_events as e
left join staff as s on e.staff_id = s.staff_id
where e.ticket_id = :ticket_id
order by e.version desc
limit 1

-- name: change_ticket
-- The ticket and its event in one statement, only if the ticket still is as it was seen.
with changed as (
    update tickets
    set
        state = :to_state,
        version = version + 1,
        assignee_id = :assignee_id,
        paused_until = :paused_until,
        outcome = :outcome,
        outcome_detail = :outcome_detail,
        is_willing = :is_willing,
        satisfaction = :satisfaction,
        closed_at = :closed_at,
        merged_into = :merged_into
    where ticket_id = :ticket_id and version = :version
    returning ticket_id, version
)

insert into ticket_events (
    ticket_id, version, kind, from_state, to_state, staff_id, actor, occurred_at, details
)
select ticket_id, version, :kind, :from_state, :to_state, :staff_id, :actor, :now, cast(:details as jsonb)
from changed
returning version

-- name: record_attempt
-- One attempt to contact the subscriber.
insert into contact_attempts (ticket_id, attempted_at, channel, result, call_back_at, note, staff_id)
values (:ticket_id, :now, :channel, :result, :call_back_at, :note, :staff_id)

-- name: record_survey
-- What the subscriber said is missing or wrong.
insert into needs_surveys (ticket_id, recorded_at, staff_id, needs, note)
values (:ticket_id, :now, :staff_id, :needs, :note)

-- name: record_checks
-- Items of the checklist that were not ticked before.
insert into ticket_checks (ticket_id, item, checked_at, staff_id)
select :ticket_id, item, :now, :staff_id
from unnest(cast(:items as text [])) as item

-- name: read_checked
-- The items of a ticket's checklist that are ticked.
select item
from ticket_checks
where ticket_id = :ticket_id

-- name: find_round
-- Since when the present round of a ticket lasts: its release, its last reopening, or when clocks last began anew.
select greatest(
    t.released_at,
    (select max(c.started_at) from ticket_clocks as c where c.ticket_id = t.ticket_id),
    (select max(e.occurred_at) from ticket_events as e where e.ticket_id = t.ticket_id and e.kind = 'reopen')
) as began_at
from tickets as t
where t.ticket_id = :ticket_id

-- name: read_work
-- When survey and plan were first recorded in the present round of a ticket.
select
    (
        select min(recorded_at) from needs_surveys
        where ticket_id = :ticket_id and recorded_at >= :since
    ) as survey_at,
    (
        select min(recorded_at) from retention_plans
        where ticket_id = :ticket_id and recorded_at >= :since
    ) as plan_at

-- name: read_attempts
-- The attempts of the present round of a ticket.
select attempted_at, channel, result, call_back_at
from contact_attempts
where ticket_id = :ticket_id and attempted_at >= :since
order by attempted_at, attempt_id

-- name: find_promise
-- The call-back promised last on a ticket, unless something was tried since.
select call_back_at
from contact_attempts
where ticket_id = :ticket_id
order by attempted_at desc, attempt_id desc
limit 1

-- name: find_stop
-- Whether all outbound of the ticket is stopped.
select is_stopped(campaign, team, region_code, branch_code)
from tickets
where ticket_id = :ticket_id

-- name: find_limit
-- The limit of contact that stands today for the customer of a ticket the person sees.
select limit_of_ticket(cast(:ticket_id as bigint), cast(:today as date))

-- name: find_refusal
-- Since when the customer wants no calls.
select refused_at
from refusals
where customer_key = :customer_key or subscriber_id = :subscriber_id
order by refused_at
limit 1

-- name: stop_customer
-- A standing refusal, and every other ticket of the customer cancelled; gives their numbers.
select stop_customer(:ticket_id, :now, :words)

-- name: find_unfinished_ticket
-- The ticket of the same customer or number that is still being worked, in any campaign and team, if it may not stand beside.
select ticket_id, campaign
from ticket_in_the_way(cast(:ticket_id as bigint))

-- name: read_pauses
-- Every pause of the present round: the days promised and when it really ended.
select
    cast(p.details ->> 'from' as date) as paused_from,
    cast(p.details ->> 'until' as date) as paused_until,
    (
        select min(e.occurred_at) from ticket_events as e
        where e.ticket_id = p.ticket_id and e.version > p.version and e.from_state = 'paused' and e.to_state <> 'paused'
    ) as ended_at
from ticket_events as p
where
    p.ticket_id = :ticket_id and p.kind = 'pause'
    and p.occurred_at >= :since
order by p.version

-- name: find_running_clocks
-- The clocks that are neither met nor void, the latest deadline last.
select clock, round, started_at, due_at, explanation
from ticket_clocks
where ticket_id = :ticket_id and met_at is null and voided_at is null
order by due_at, clock

-- name: move_clock
-- A pause moves a running clock; a warning that lies ahead again is due again.
update ticket_clocks
set
    due_at = :due_at,
    warn_at = :warn_at,
    warned_at = case when :warn_at > :now then null else warned_at end,
    is_provisional = :is_provisional,
    explanation = cast(:explanation as jsonb)
where ticket_id = :ticket_id and clock = :clock and round = :round and met_at is null and voided_at is null

-- name: meet_clocks
-- What clocks wait for is done. After the deadline it ends the clock, but the breach stands, noticed now if no tick was
-- faster.
update ticket_clocks
set
    met_at = :now,
    breached_at = breached_when_stopped(due_at, :now),
    noticed_at = noticed_when_stopped(due_at, noticed_at, :now)
where ticket_id = :ticket_id and stops = any(cast(:stops as text [])) and met_at is null and voided_at is null

-- name: void_clocks
-- A clock that had run out before is breached all the same.
update ticket_clocks
set
    voided_at = :now,
    breached_at = breached_when_stopped(due_at, :now),
    noticed_at = noticed_when_stopped(due_at, noticed_at, :now)
where ticket_id = :ticket_id and met_at is null and voided_at is null

-- name: start_clocks
-- A reopened ticket gets a new round of these clocks.
insert into ticket_clocks (ticket_id, clock, stops, round, started_at, warn_at, due_at, is_provisional, explanation)
select
    :ticket_id, c.clock, c.stops,
    1 + coalesce((select max(o.round) from ticket_clocks as o where o.ticket_id = :ticket_id and o.clock = c.clock), 0),
    :now, c.warn_at, c.due_at, c.is_provisional, c.explanation
from jsonb_to_recordset(cast(:clocks as jsonb)) as c (
    clock text, stops text, warn_at timestamptz, due_at timestamptz, is_provisional boolean, explanation jsonb
)
