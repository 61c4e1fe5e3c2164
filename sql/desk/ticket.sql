-- name: read_ticket
-- A ticket with its evidence, its people and its plan clock, as far as the person may see it.
select
    t.ticket_id, t.version, t.state, t.campaign, t.cycle, t.subscriber_id, t.customer_key, t.team,
    t.branch_code, t.region_code, t.grade, t.tier, t.rank, t.value_yuan, t.assignee_id, t.dispatched_at,
    t.expected_on, t.released_at, t.paused_until, t.outcome, t.outcome_detail, t.satisfaction, t.closed_at,
    t.merged_into, t.frozen_at, t.frozen_because, t.is_pool, a.evidence, s.name as assignee, masked_phone(t.ticket_id) as phone
from tickets as t
inner join assignments as a on t.assignment_id = a.assignment_id
left join staff as s on t.assignee_id = s.staff_id
where t.ticket_id = :ticket_id

-- name: read_clocks
-- The clocks of a ticket, each with its explanation, the newest round last, and in it the latest deadline.
select clock, stops, round, started_at, warn_at, due_at, is_provisional, explanation, met_at, voided_at, breached_at
from ticket_clocks
where ticket_id = :ticket_id
order by round, due_at, clock

-- name: read_events
-- What happened to a ticket, newest first.
select e.version, e.kind, e.from_state, e.to_state, e.actor, e.occurred_at, e.details, s.name as person
from ticket_events as e
left join staff as s on e.staff_id = s.staff_id
where e.ticket_id = :ticket_id
order by e.version desc

-- name: read_attempts
-- The contact attempts of a ticket, newest first.
select c.attempted_at, c.channel, c.result, c.call_back_at, c.note, s.name as person
from contact_attempts as c
inner join staff as s on c.staff_id = s.staff_id
where c.ticket_id = :ticket_id
order by c.attempted_at desc, c.attempt_id desc

-- name: read_surveys
-- The needs surveys of a ticket, newest first.
select recorded_at, needs, note
from needs_surveys
where ticket_id = :ticket_id
order by recorded_at desc

-- name: read_checks
-- The ticked items of a ticket's checklist, newest first.
select c.item, c.checked_at, s.name as person
from ticket_checks as c
inner join staff as s on c.staff_id = s.staff_id
where c.ticket_id = :ticket_id
order by c.checked_at desc, c.item

-- name: read_plans
-- The retention plans of a ticket with what became of each, newest first.
select
    p.plan_id, p.recorded_at, p.strategy, p.offer, p.cost_yuan, p.valid_until, p.note, r.result, r.order_number,
    r.processed_at
from retention_plans as p
left join lateral (
    select result, order_number, processed_at
    from plan_processings
    where plan_processings.plan_id = p.plan_id
    order by processed_at desc
    limit 1
) as r on true
where p.ticket_id = :ticket_id
order by p.recorded_at desc

-- name: read_tasks
-- The problems of a ticket, and of those merged into it, charged to other units, newest first.
select
    k.task_id, k.ticket_id, k.unit, k.words, k.opened_at, k.due_at, k.is_provisional, k.done_at, k.result
from linked_tasks as k
inner join tickets as t on k.ticket_id = t.ticket_id
where t.ticket_id = :ticket_id or t.merged_into = :ticket_id
order by k.opened_at desc

-- name: read_team_mates
-- The active agents of a team, for the lead to choose from.
select staff_id, name
from staff
where team = :team and is_active and role = 'agent'
order by name

-- name: read_others
-- The customer's other tickets the person may see, the unfinished and the newest first: other numbers, earlier cycles,
-- other campaigns.
select
    other.ticket_id, other.version, other.subscriber_id, other.campaign, other.cycle, other.state, other.outcome,
    other.closed_at, other.merged_into
from tickets as one
inner join tickets as other
    on
        one.ticket_id <> other.ticket_id
        and (
            one.customer_key = other.customer_key or one.subscriber_id = other.subscriber_id
            or one.ticket_id = other.merged_into
        )
where one.ticket_id = :ticket_id
order by is_finished(other.state), other.ticket_id desc
limit 20

-- name: read_past_contacts
-- Attempts on the customer's other tickets the person may see, newest first.
select c.ticket_id, c.attempted_at, c.channel, c.result, c.call_back_at, c.note, s.name as person
from tickets as one
inner join tickets as other
    on
        one.ticket_id <> other.ticket_id
        and (
            one.customer_key = other.customer_key or one.subscriber_id = other.subscriber_id
            or one.ticket_id = other.merged_into
        )
inner join contact_attempts as c on other.ticket_id = c.ticket_id
inner join staff as s on c.staff_id = s.staff_id
where one.ticket_id = :ticket_id
order by c.attempted_at desc, c.attempt_id desc
limit 30
