-- name: count_warnings
-- How many of a cycle were warned of, per grade (if the campaign grades) and tier, and how many of them admitted.
select
    grade,
    tier,
    count(*) as subscribers,
    count(*) filter (where is_admitted) as admitted
from warnings
where campaign = :campaign and cycle = :cycle and revision = 0
group by grade, tier
order by grade, array_position(array['priority', 'secondary', 'monitoring'], tier)

-- name: count_decisions
-- What dispatch decided about those admitted in a cycle.
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
-- What happened to those contacted and those held out of every dispatched cycle: of how many success is known, for how
-- many it is true, and how many left; null while it is not observed.
select
    assignments.cycle,
    assignments.arm,
    coalesce(cycles.known_on, cast(cycles.horizon_ends_at at time zone 'Asia/Shanghai' as date)) as known_on,
    count(*) as subscribers,
    count(outcomes.has_succeeded) as known,
    count(*) filter (where outcomes.has_succeeded) as succeeded,
    case when count(outcomes.has_churned) > 0 then count(*) filter (where outcomes.has_churned) end as churned
from assignments
inner join cycles on assignments.campaign = cycles.campaign and assignments.cycle = cycles.cycle
left join outcomes on assignments.assignment_id = outcomes.assignment_id
where assignments.campaign = :campaign and not assignments.is_recalled
group by assignments.cycle, assignments.arm, cycles.known_on, cycles.horizon_ends_at
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

-- name: make_statements
-- The statements that make the role and the databases which are missing, in this order.
with steps (step, statement, is_done) as (
    values
    (1, 'create role airflow', exists (select 1 from pg_roles where rolname = 'airflow')),
    (
        2,
        'create database airflow owner airflow template template0',
        exists (select 1 from pg_database where datname = 'airflow')
    ),
    (3, 'alter database airflow owner to airflow', false),
    (4, 'create database churn template template0', exists (select 1 from pg_database where datname = 'churn'))
)

select statement
from steps
where not is_done
order by step

-- name: take_over_statements
-- The statements that give Airflow's role the tables an earlier installation made as the superuser.
select format('alter table %I.%I owner to airflow', pg_namespace.nspname, pg_class.relname) as statement
from pg_class
inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
where
    pg_namespace.nspname = 'public'
    and (
        pg_class.relkind in ('r', 'p', 'v')
        or (
            pg_class.relkind = 'S'
            and not exists (select 1 from pg_depend where objid = pg_class.oid and deptype in ('a', 'i'))
        )
    )
    and pg_get_userbyid(pg_class.relowner) <> 'airflow'

-- name: close_databases
-- Nobody but their owners gets into the databases.
revoke connect on database airflow, churn from public

-- name: open_churn
-- The logins of stages and desk get into the operations database.
grant connect on database churn to churn_loop, churn_desk

-- name: list_treated
-- Whom staff contacted in a cycle with one of `results`, when first, and the reason behind the offer they made:
-- the simulator's input.
select
    tickets.subscriber_id,
    tickets.cycle as month,
    coalesce(max(retention_plans.offer_reason), '') as offer_reason,
    min(cast(contact_attempts.attempted_at at time zone 'Asia/Shanghai' as date)) as contacted_on,
    tickets.campaign
from tickets
inner join contact_attempts
    on tickets.ticket_id = contact_attempts.ticket_id and contact_attempts.result = any(:results)
left join retention_plans on tickets.ticket_id = retention_plans.ticket_id
where tickets.campaign = :campaign and tickets.cycle = :cycle
group by tickets.subscriber_id, tickets.cycle, tickets.campaign
order by tickets.subscriber_id
