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
    released_at, paused_until, outcome, outcome_detail, satisfaction, closed_at, merged_into, frozen_because
from tickets
where ticket_id = :ticket_id
for no key update

-- name: see_ticket
-- The ticket as it stands, to look at.
select
    ticket_id, campaign, cycle, tier, branch_code, subscriber_id, customer_key, state, version, team, assignee_id,
    released_at, paused_until, outcome, outcome_detail, satisfaction, closed_at, merged_into
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

-- name: read_work
-- When survey and plan were first recorded in the running round of a ticket.
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
-- The attempts of the running round of a ticket.
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
-- Every pause of the running plan clock: the days promised and when it really ended.
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
    and p.occurred_at >= :started_at
order by p.version

-- name: find_plan_clock
-- The plan clock of the newest round.
select round, started_at, due_at, met_at, voided_at, breached_at, explanation
from ticket_clocks
where ticket_id = :ticket_id and clock = 'plan'
order by round desc
limit 1

-- name: move_plan_clock
-- A pause moves the running plan clock; a warning that lies ahead again is due again.
update ticket_clocks
set
    due_at = :due_at,
    warn_at = :warn_at,
    warned_at = case when :warn_at > :now then null else warned_at end,
    is_provisional = :is_provisional,
    explanation = cast(:explanation as jsonb)
where ticket_id = :ticket_id and clock = 'plan' and round = :round and met_at is null and voided_at is null

-- name: meet_clock
-- Work after the deadline ends the clock, but the breach stands, noticed now if no tick was faster.
update ticket_clocks
set
    met_at = :now,
    breached_at = case when due_at < :now then due_at end,
    noticed_at = case when due_at < :now then coalesce(noticed_at, :now) end
where ticket_id = :ticket_id and clock = :clock and met_at is null and voided_at is null

-- name: void_clocks
-- A clock that had run out before is breached all the same.
update ticket_clocks
set
    voided_at = :now,
    breached_at = case when due_at < :now then due_at end,
    noticed_at = case when due_at < :now then coalesce(noticed_at, :now) end
where ticket_id = :ticket_id and met_at is null and voided_at is null

-- name: start_plan_clock
-- A reopened ticket gets a new round of the plan clock.
insert into ticket_clocks (ticket_id, clock, round, started_at, warn_at, due_at, is_provisional, explanation)
values (
    :ticket_id, 'plan', :round, :now, :warn_at, :due_at, :is_provisional, cast(:explanation as jsonb)
)
