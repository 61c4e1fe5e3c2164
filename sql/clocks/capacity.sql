-- name: read_rooms
-- First contacts each team can make on each of the days by its roster; no row at all: nobody was ever hired.
select
    s.team,
    d.day,
    count(*) as agents,
    sum(case when is_away(s.staff_id, d.day) then 0 else coalesce(w.contacts, s.contacts_per_day) end) as contacts
from staff as s
cross join unnest(cast(:days as date [])) as d (day)
left join shifts as w on s.staff_id = w.staff_id and d.day = w.day
where s.is_active and s.role = 'agent'
group by s.team, d.day
order by s.team, d.day

-- name: has_agents
-- Whether anybody was hired: without people there is no limit.
select exists(select 1 from staff where is_active and role = 'agent')

-- name: count_taken
-- First contacts of each team that are spoken for: the tickets of the cycle itself, and those of every campaign that are
-- unfinished and were never contacted. Whatever is about to expire takes none.
select found.team, count(*) as tickets
from (
    select ticket_id, team
    from tickets
    where campaign = :campaign and cycle = :cycle and not is_recalled
    union
    select t.ticket_id, t.team
    from tickets as t
    where
        not is_finished(t.state)
        and not (t.state = 'waiting' and coalesce(t.expires_at <= :now, false))
        and not exists (select 1 from contact_attempts as c where c.ticket_id = t.ticket_id)
) as found
group by found.team
