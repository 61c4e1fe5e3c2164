-- name: count_grades
-- How many of a cycle were graded high and mid, per tier (low stays in the lake).
select
    grade,
    tier,
    count(*) as subscribers
from warnings
where campaign = :campaign and cycle = :cycle and revision = 0
group by grade, tier
order by grade, array_position(array['priority', 'secondary', 'monitoring'], tier)

-- name: count_decisions
-- What dispatch decided about the priority warnings of a cycle.
select
    decision,
    reason,
    count(*) as subscribers
from dispatch_decisions
where campaign = :campaign and cycle = :cycle
group by decision, reason
order by array_position(array['treated', 'held_out', 'not_reached', 'ineligible'], decision), count(*) desc

-- name: count_tickets
-- The tickets of a cycle per state, with the days and deadlines they carry.
select
    tickets.state,
    count(*) as tickets,
    min(tickets.expected_on) as first_expected_on,
    max(tickets.expected_on) as last_expected_on,
    min(ticket_clocks.due_at) as first_due_at,
    max(ticket_clocks.due_at) as last_due_at,
    coalesce(bool_or(ticket_clocks.is_provisional), false) as is_provisional
from tickets
left join ticket_clocks
    on tickets.ticket_id = ticket_clocks.ticket_id and ticket_clocks.clock = 'plan'
where tickets.campaign = :campaign and tickets.cycle = :cycle and not tickets.is_recalled
group by tickets.state
order by tickets.state

-- name: count_outcomes
-- What happened to those contacted and those held out of every cycle that is observed.
select
    assignments.cycle,
    assignments.arm,
    count(*) as subscribers,
    count(*) filter (where outcomes.has_churned) as churned
from assignments
inner join outcomes on assignments.assignment_id = outcomes.assignment_id
where assignments.campaign = :campaign and not assignments.is_recalled
group by assignments.cycle, assignments.arm
order by assignments.cycle, assignments.arm desc

-- name: list_people
-- Who works tickets and has an Airflow user.
select
    staff_code,
    airflow_username,
    name,
    role,
    team
from staff
where airflow_username is not null and is_active
order by array_position(array['manager', 'lead', 'agent'], role), team, staff_code

-- name: login_statement
-- The statement that lets a role log in, with its words quoted by the server.
select format('alter role %I login password %L', cast(:role as text), cast(:password as text)) as statement

-- name: database_exists
-- Whether the server has a database of this name.
select exists(select 1 from pg_database where datname = :name) as stands

-- name: list_treated
-- Whom staff reached in a cycle, when first, and the reason behind the offer they made: the simulator's input.
select
    tickets.subscriber_id,
    tickets.cycle as month,
    coalesce(max(retention_plans.offer_reason), '') as offer_reason,
    min(cast(contact_attempts.attempted_at at time zone 'Asia/Shanghai' as date)) as contacted_on
from tickets
inner join contact_attempts
    on tickets.ticket_id = contact_attempts.ticket_id and contact_attempts.result in ('reached', 'refused')
left join retention_plans on tickets.ticket_id = retention_plans.ticket_id
where tickets.campaign = :campaign and tickets.cycle = :cycle
group by tickets.subscriber_id, tickets.cycle
order by tickets.subscriber_id
