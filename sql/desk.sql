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
select ticket_id, campaign, state, version, team, assignee_id, released_at, paused_until, frozen_because
from tickets
where ticket_id = :ticket_id
for update

-- name: last_event
-- Who changed the ticket last, and how.
select kind, actor, occurred_at
from ticket_events
where ticket_id = :ticket_id
order by version desc
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
        closed_at = :closed_at
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
insert into contact_attempts (ticket_id, attempted_at, channel, result, call_back_on, note, staff_id)
values (:ticket_id, :now, :channel, :result, :call_back_on, :note, :staff_id)

-- name: record_survey
-- What the subscriber said is missing or wrong.
insert into needs_surveys (ticket_id, recorded_at, staff_id, needs, note)
values (:ticket_id, :now, :staff_id, :needs, :note)

-- name: record_plan
-- The offer made to the subscriber.
insert into retention_plans (
    ticket_id, recorded_at, staff_id, strategy, offer, offer_reason, cost_yuan, valid_until, note
)
values (
    :ticket_id, :now, :staff_id, :strategy, :offer, :offer_reason, :cost_yuan, :valid_until, :note
)

-- name: read_work
-- What has been recorded in the running round of a ticket, as far as closing and clocks ask for it.
select
    (
        select min(recorded_at) from needs_surveys
        where ticket_id = :ticket_id and recorded_at >= :since
    ) as survey_at,
    (
        select min(recorded_at) from retention_plans
        where ticket_id = :ticket_id and recorded_at >= :since
    ) as plan_at,
    array(
        select attempted_at from contact_attempts
        where ticket_id = :ticket_id and attempted_at >= :since
        order by attempted_at
    ) as attempts

-- name: find_unfinished_ticket
-- Another ticket of the same customer or number that is still being worked.
select other.ticket_id
from tickets as one
inner join tickets as other
    on
        one.campaign = other.campaign and one.ticket_id <> other.ticket_id
        and (one.customer_key = other.customer_key or one.subscriber_id = other.subscriber_id)
where one.ticket_id = :ticket_id and other.state not in ('closed', 'cancelled', 'expired')
limit 1

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
select round, started_at, due_at, met_at, voided_at, breached_at
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

-- name: read_queue
-- The open tickets somebody may work, most urgent plan deadline first.
select
    t.ticket_id, t.version, t.state, t.subscriber_id, t.grade, t.tier, t.rank, t.team, t.assignee_id,
    t.paused_until, t.frozen_at, t.frozen_because, c.due_at, c.is_provisional
from tickets as t
left join ticket_clocks as c on t.ticket_id = c.ticket_id and c.clock = 'plan' and c.met_at is null and c.voided_at is null
where t.state in ('assigned', 'in_progress', 'paused')
order by c.due_at, t.rank
limit :limit
