-- A retention desk after a year: tickets 1 … :tickets in the order of their dispatch, twelve cycles, the last quarter
-- of them partly open. Keys that only triggers check hold by construction; run with them off. Draws are repeatable.
select setseed(0.42);

create temporary table draws as
select
    n, random() as of_team, random() as of_state, random() as of_person, random() as of_place, random() as of_time,
    random() as of_end, 1 + (n - 1) * 12 / :tickets as cycle
from generate_series(1, cast(:tickets as bigint)) as n;

insert into configurations values ('filled', '{}', :now);

insert into branches (branch_code, parent_code, name, region_code)
select 'B' || n, case when n > 1 then 'B' || n / 8 + 1 end, 'Branch ' || n, 'R' || n % 16
from generate_series(1, 120) as n;

insert into staff (staff_code, airflow_username, name, role, team, branch_code, contacts_per_day)
select 'agent' || n, 'agent' || n, 'Agent ' || n, 'agent', team, 'B' || 1 + n % 120, 50
from generate_series(1, cast(:agents as bigint)) as n
cross join lateral (select case when n % 20 < 3 then 'vip' when n % 20 < 15 then 'mid_high' else 'new_subscriber' end as team) as t;

insert into staff (staff_code, airflow_username, name, role, team, branch_code, contacts_per_day)
select 'lead' || n, 'lead' || n, 'Lead ' || n, 'lead', (array['vip', 'mid_high', 'new_subscriber'])[1 + n % 3], 'B1', 0
from generate_series(1, 12) as n
union all
select 'manager' || n, 'manager' || n, 'Manager ' || n, 'manager', 'mid_high', 'B1', 0
from generate_series(1, 3) as n;

create temporary table kept_cycles as
select n as nth, to_char(cast(:now as timestamptz) - make_interval(months => 12 - n), 'YYYY-MM') as cycle
from generate_series(1, 12) as n;

insert into cycles (campaign, cycle, month, as_of, config_hash, opened_at, fixed_at, fixed_facts, dispatch_summary)
select 'churn_warning', cycle, cycle, :now, 'filled', :now, :now, '{}', '{"scored": 10000000}' from kept_cycles;

insert into cycle_revisions (campaign, cycle, revision, as_of, config_hash, opened_at)
select 'churn_warning', cycle, 0, :now, 'filled', :now from kept_cycles;

insert into deliveries (
    feed, period, fingerprint, files, rows_read, rows_accepted, rows_quarantined, is_complete, run_id, collected_at
)
select 'subscribers', cycle, 'x', 1, 10000000, 10000000, 0, true, 'filled', :now from kept_cycles;

create temporary table places as
select staff_id, team, cast(row_number() over (partition by team order by staff_id) - 1 as integer) as place
from staff where role = 'agent';

create temporary table crews as
select team, count(*) as people from places group by team;

analyze draws, places, crews, kept_cycles, staff;

create temporary table facts as
select
    d.*, c.cycle as month, s.state, t.team, 'S' || to_char(1 + (d.n - 1) % (:tickets * 7 / 10), 'FM00000000') as subscriber,
    case when s.state = 'waiting' or d.of_place < 0.03 then null else p.staff_id end as assignee_id,
    case
        when s.state in ('assigned', 'in_progress', 'paused') then cast(:now as timestamptz) - d.of_time * interval '100 hours'
        else cast(:now as timestamptz) - (:tickets - d.n) * interval '11.5 months' / :tickets - interval '8 days'
    end as begun_at,
    case when d.of_end < 0.2 then 'retained' when d.of_end < 0.35 then 'considering' when d.of_end < 0.6 then 'declined'
        when d.of_end < 0.8 then 'no_intention' else 'unreachable' end as outcome
from draws as d
inner join kept_cycles as c on d.cycle = c.nth
cross join lateral (
    select case when d.of_team < 0.15 then 'vip' when d.of_team < 0.75 then 'mid_high' else 'new_subscriber' end as team
) as t
cross join lateral (
    select case
        when d.n > :tickets * 0.97 then 'waiting'
        when d.n <= :tickets * 0.75 or d.of_state < 0.35 then case when d.of_end < 0.97 then 'closed' else 'cancelled' end
        when d.of_state < 0.65 then 'assigned' when d.of_state < 0.95 then 'in_progress' else 'paused'
    end as state
) as s
inner join crews as w on t.team = w.team
inner join places as p on t.team = p.team and p.place = cast(floor(d.of_person * w.people) as integer);

analyze facts;

insert into assignments (
    campaign, cycle, measure, subscriber_id, customer_key, epoch, arm, probability_of_assignment, rank, evidence,
    evidence_sha256, assigned_at
)
select
    'churn_warning', month, 'churn_warning', subscriber, subscriber, '2026-H2', 'treated', 0.8, n,
    cast(:evidence as jsonb) || jsonb_build_object('score', round(cast(of_time as numeric), 6), 'month', month), 'x', begun_at
from facts order by n;

insert into tickets (
    assignment_id, campaign, cycle, subscriber_id, customer_key, state, version, team, branch_code, region_code, grade,
    tier, rank, value_yuan, assignee_id, dispatched_at, expected_on, released_at, paused_until, outcome,
    outcome_detail, closed_at, due_at
)
select
    n, 'churn_warning', month, subscriber, subscriber, state,
    case state when 'waiting' then 1 when 'assigned' then 2 when 'in_progress' then 3 when 'paused' then 4
        when 'cancelled' then 3 else case when of_end < 0.6 then 6 when of_end < 0.8 then 4 else 6 end end,
    team, 'B' || floor(1 + of_place * 120), 'R' || floor(of_place * 16), case when of_time < 0.8 then 'high' else 'mid' end,
    'priority', n, 30 + 200 * of_place, assignee_id, begun_at, cast(begun_at as date),
    case when state <> 'waiting' then begun_at end, case when state = 'paused' then cast(:now as date) + 2 end,
    case when state = 'closed' then outcome end, null, case when state in ('closed', 'cancelled') then begun_at + interval '4 days' end,
    case when state in ('assigned', 'paused') or (state = 'in_progress' and of_end >= 0.3) then begun_at + interval '90 hours' end
from facts order by n;

insert into ticket_events (ticket_id, version, kind, from_state, to_state, staff_id, actor, occurred_at, details)
select
    f.n, e.version, e.kind, null, e.to_state, case when e.version > 2 then f.assignee_id end,
    case when e.version > 2 then 'agent' else 'loop' end, f.begun_at + e.version * interval '1 hour', '{}'
from facts as f
inner join (
    values
    ('dispatch', 1, 'waiting', array['waiting', 'assigned', 'in_progress', 'paused', 'closed', 'cancelled'], 0, 1),
    ('release', 2, 'assigned', array['assigned', 'in_progress', 'paused', 'closed', 'cancelled'], 0, 1),
    ('contact', 3, 'in_progress', array['in_progress', 'paused', 'closed'], 0, 1),
    ('pause', 4, 'paused', array['paused'], 0, 1),
    ('cancel', 3, 'cancelled', array['cancelled'], 0, 1),
    ('survey', 4, 'in_progress', array['closed'], 0, 0.6),
    ('plan', 5, 'in_progress', array['closed'], 0, 0.6),
    ('contact', 4, 'in_progress', array['closed'], 0.8, 1),
    ('contact', 5, 'in_progress', array['closed'], 0.8, 1),
    ('close', 6, 'closed', array['closed'], 0, 0.6),
    ('close', 4, 'closed', array['closed'], 0.6, 0.8),
    ('close', 6, 'closed', array['closed'], 0.8, 1)
) as e (kind, version, to_state, states, since, until)
    on f.state = any(e.states) and f.of_end >= e.since and f.of_end < e.until
order by f.n, e.version;

insert into ticket_clocks (
    ticket_id, clock, stops, started_at, warn_at, due_at, is_provisional, explanation, met_at, voided_at, breached_at, noticed_at
)
select
    n, clock, stops, begun_at, due_at - interval '1 day', due_at, false, cast(:explanation as jsonb),
    case when state <> 'cancelled' and is_over then begun_at + interval '3 hours' end,
    case when state = 'cancelled' then begun_at + interval '3 hours' end,
    case when not is_over and due_at < :now then due_at end, case when not is_over and due_at < :now then due_at end
from facts
cross join lateral (
    values
    ('first_contact', 'contact', begun_at + interval '1 day', state in ('in_progress', 'paused', 'closed', 'cancelled')),
    ('plan', 'plan', begun_at + interval '90 hours', state in ('closed', 'cancelled') or (state = 'in_progress' and of_end < 0.3))
) as k (clock, stops, due_at, is_over)
where state <> 'waiting'
order by n, clock;

insert into ticket_phones (ticket_id, msisdn)
select n, '139' || to_char(n * 7919 % 100000000, 'FM00000000') from facts order by n;

insert into contact_attempts (ticket_id, attempted_at, channel, result, staff_id)
select n, begun_at + nth * interval '3 hours', 'call', case when of_end < 0.8 and nth = 1 then 'reached' else 'no_answer' end, assignee_id
from facts
cross join generate_series(1, 3) as nth
where state in ('in_progress', 'paused', 'closed') and assignee_id is not null and (nth = 1 or of_end >= 0.8 or (nth = 2 and of_end < 0.2))
order by n, nth;

insert into needs_surveys (ticket_id, recorded_at, staff_id, needs)
select n, begun_at + interval '4 hours', assignee_id, array['price'] from facts
where assignee_id is not null and ((state = 'closed' and of_end < 0.6) or (state = 'in_progress' and of_end < 0.3))
order by n;

insert into retention_plans (ticket_id, recorded_at, staff_id, strategy, offer, offer_reason, cost_yuan)
select ticket_id, recorded_at, staff_id, 'price_match', 'discount', 'price', 20 from needs_surveys order by ticket_id;

analyze retention_plans, tickets;

insert into plan_processings (plan_id, ticket_id, result, order_number, processed_at, staff_id)
select p.plan_id, p.ticket_id, 'done', 'O' || p.ticket_id, p.recorded_at + interval '1 hour', p.staff_id
from retention_plans as p inner join tickets as t on p.ticket_id = t.ticket_id where t.outcome = 'retained'
order by p.plan_id;

insert into warnings (
    campaign, cycle, revision, subscriber_id, customer_key, cluster, probability, model_version, grade, tier, rank,
    rule_hits, rule_points
)
select 'churn_warning', f.month, 0, s.subscriber, s.subscriber, 'over_12', 0.3, 'rules',
    case when s.nth = 0 then 'high' else 'mid' end, case when s.nth = 0 then 'priority' else 'secondary' end, f.n, '{}', 0
from facts as f
cross join lateral (
    select nth, case when nth = 0 then f.subscriber else 'W' || f.n || '-' || nth end as subscriber from generate_series(0, 2) as nth
) as s
where f.cycle >= 10;

insert into dispatch_decisions (campaign, cycle, subscriber_id, customer_key, rank, decision, decided_at, team)
select 'churn_warning', f.month, s.subscriber, s.subscriber, f.n, s.decision, f.begun_at, f.team
from facts as f
cross join lateral (
    values ('treated', f.subscriber), (case when f.n % 4 = 0 then 'held_out' end, 'H' || f.n)
) as s (decision, subscriber)
where f.cycle >= 10 and s.decision is not null;

drop table draws, kept_cycles, places, crews, facts;
