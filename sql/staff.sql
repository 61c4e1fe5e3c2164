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
where state not in ('closed', 'cancelled', 'expired')

-- name: list_queue
-- An agent's tickets to work today, with what has been tried: most urgent first.
select
    t.ticket_id,
    t.version,
    t.subscriber_id,
    count(a.attempt_id) as attempts,
    count(distinct cast(a.attempted_at at time zone 'Asia/Shanghai' as date)) as attempt_days,
    count(a.attempt_id) filter (
        where cast(a.attempted_at at time zone 'Asia/Shanghai' as date) = :today
    ) as tried_today
from tickets as t
left join contact_attempts as a on t.ticket_id = a.ticket_id
where
    t.assignee_id = :staff_id
    and (t.state in ('assigned', 'in_progress') or (t.state = 'paused' and t.paused_until <= :today))
group by t.ticket_id
order by t.released_at, t.rank
