-- name: count_rates
-- Of the released tickets of a campaign how many were reached, willing, completed; per cycle, team and agent.
--
-- released  : handed out at least once; neither recalled nor merged into another ticket
-- reached   : somebody answered an attempt (reached, call_back, refused) on it or on a ticket merged into it,
--             or a plan was accepted; share of released
-- willing   : closed as retained, which needs a plan, or a plan of it was sent for processing; share of reached
-- completed : a plan of it was processed with the result done; share of willing
-- agent     : who has the ticket now; level tells what a row stands for
with worked as (
    select
        t.ticket_id, t.cycle, t.team, t.assignee_id,
        coalesce(t.outcome = 'retained', false)
        or exists (select 1 from plan_processings as p where p.ticket_id = t.ticket_id) as is_willing,
        exists(
            select 1 from plan_processings as p
            where p.ticket_id = t.ticket_id and p.result = 'done'
        ) as is_completed,
        exists(
            select 1
            from tickets as f
            inner join contact_attempts as a on f.ticket_id = a.ticket_id
            where (f.ticket_id = t.ticket_id or f.merged_into = t.ticket_id) and a.result <> 'no_answer'
        ) as is_answered
    from tickets as t
    where
        t.campaign = :campaign and t.released_at is not null and not t.is_recalled and t.merged_into is null
),

counted as (
    select
        cycle, team, assignee_id,
        case grouping(team, assignee_id) when 3 then 'cycle' when 1 then 'team' else 'agent' end as level,
        count(*) as released,
        count(*) filter (where is_answered or is_willing) as reached,
        count(*) filter (where is_willing) as willing,
        count(*) filter (where is_completed) as completed
    from worked
    group by grouping sets ((cycle), (cycle, team), (cycle, team, assignee_id))
)

select
    c.level, c.cycle, c.team, c.assignee_id, s.name as agent, c.released, c.reached, c.willing, c.completed,
    cast(c.reached as double precision) / c.released as reached_share,
    cast(c.willing as double precision) / nullif(c.reached, 0) as willing_share,
    cast(c.completed as double precision) / nullif(c.willing, 0) as completed_share
from counted as c
left join staff as s on c.assignee_id = s.staff_id
order by c.cycle, array_position(array['cycle', 'team', 'agent'], c.level), c.team, s.name

-- name: count_inbound
-- Subscribers who called in without a released ticket, per cycle and arm: no breach of the hold-out, but told.
select
    a.cycle, a.arm,
    count(distinct i.assignment_id) as subscribers,
    count(distinct i.assignment_id) filter (where i.is_refusal) as refused
from inbound_contacts as i
inner join assignments as a on i.assignment_id = a.assignment_id
where a.campaign = :campaign and not a.is_recalled
group by a.cycle, a.arm
order by a.cycle, a.arm
