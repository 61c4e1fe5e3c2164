-- name: hire
-- A simulated person, known by code; hired twice is hired once.
insert into staff (staff_code, airflow_username, name, role, team, contacts_per_day, is_simulated)
values (:staff_code, :airflow_username, :name, :role, :team, :contacts_per_day, true)
on conflict (staff_code) do nothing

-- name: list_agents
-- The simulated agents at work.
select staff_id
from staff
where is_simulated and is_active and is_present and role = 'agent'
order by staff_id

-- name: count_unfinished
-- How many tickets are not finished yet.
select count(*) as tickets
from tickets
where not is_finished(state)

-- name: find_manager
-- A simulated manager.
select staff_id
from staff
where is_simulated and is_active and role = 'manager'
order by staff_id
limit 1

-- name: list_queue
-- An agent's tickets to work today, most urgent first.
select ticket_id, version, campaign, subscriber_id
from tickets
where
    assignee_id = :staff_id
    and (state in ('assigned', 'in_progress') or (state = 'paused' and paused_until <= :today))
    and standing_limit(subscriber_id, customer_key, :today) is null
order by released_at, rank

-- name: list_orders
-- Closed tickets whose subscriber was won, with a plan that nobody processed yet: the billing system carries it out.
select t.ticket_id, t.version, t.campaign, t.assignee_id
from tickets as t
inner join staff as s on t.assignee_id = s.staff_id
where
    t.state = 'closed' and t.is_willing and s.is_simulated
    and exists (select 1 from retention_plans as o where o.ticket_id = t.ticket_id)
    and not exists (select 1 from plan_processings as p where p.ticket_id = t.ticket_id)
order by t.ticket_id

-- name: list_open_tasks
-- What other units still owe on the tickets of simulated agents, one task a ticket.
select distinct on (t.ticket_id) k.task_id, t.ticket_id, t.version, t.campaign, t.assignee_id
from linked_tasks as k
inner join tickets as t on k.ticket_id = t.ticket_id
inner join staff as s on t.assignee_id = s.staff_id
where k.done_at is null and s.is_simulated
order by t.ticket_id, k.task_id

-- name: list_who_may_call_in
-- Those held out in a cycle of any campaign who have not called in yet.
select a.campaign, a.subscriber_id
from assignments as a
where
    a.cycle = :cycle and a.arm = 'held_out'
    and not exists (select 1 from inbound_contacts as i where i.assignment_id = a.assignment_id)
order by a.campaign, a.subscriber_id
