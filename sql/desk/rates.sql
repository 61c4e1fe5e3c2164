-- name: count_rates
-- Of the released tickets how many were reached, willing, completed: per cycle of each campaign, by unit, team and agent,
-- and together per campaign and over all of them. `campaign` null counts every campaign.
--
-- released  : handed out at least once; neither recalled nor merged into another ticket
-- reached   : somebody answered an attempt (reached, call_back, refused) on it or on a ticket merged into it,
--             or it is willing; share of released
-- willing   : closed with an ending by which its campaign counts a customer as won (`willing` lists them as
--             campaign/ending), or a plan of it was sent for processing; share of reached
-- completed : a plan of it was processed with the result done; share of willing
-- unit      : the branch of the ticket; agent: who has it now; level tells what a row stands for
with worked as (
    select
        t.ticket_id, t.campaign, t.cycle, t.branch_code, t.team, t.assignee_id,
        coalesce(t.campaign || '/' || t.outcome = any(cast(:willing as text [])), false)
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
        (cast(:campaign as text) is null or t.campaign = :campaign)
        and t.released_at is not null and not t.is_recalled and t.merged_into is null
),

counted as (
    select
        campaign, cycle, branch_code, team, assignee_id,
        case grouping(campaign, cycle, branch_code, team, assignee_id)
            when 31 then 'all' when 15 then 'campaign' when 7 then 'cycle' when 3 then 'unit' when 5 then 'team'
            else 'agent'
        end as level,
        count(*) as released,
        count(*) filter (where is_answered or is_willing) as reached,
        count(*) filter (where is_willing) as willing,
        count(*) filter (where is_completed) as completed
    from worked
    group by grouping sets (
        (), (campaign), (campaign, cycle), (campaign, cycle, branch_code), (campaign, cycle, team),
        (campaign, cycle, team, assignee_id)
    )
)

select
    c.level, c.campaign, c.cycle, c.branch_code, c.team, c.assignee_id, s.name as agent, c.released, c.reached,
    c.willing, c.completed,
    cast(c.reached as double precision) / c.released as reached_share,
    cast(c.willing as double precision) / nullif(c.reached, 0) as willing_share,
    cast(c.completed as double precision) / nullif(c.willing, 0) as completed_share
from counted as c
left join staff as s on c.assignee_id = s.staff_id
where c.released > 0 and (c.level <> 'unit' or c.branch_code is not null)
order by
    c.campaign nulls first, c.cycle nulls first,
    array_position(array['all', 'campaign', 'cycle', 'unit', 'team', 'agent'], c.level), c.branch_code, c.team, s.name

-- name: count_inbound
-- Subscribers who called in without a released ticket, per cycle and arm: no breach of the hold-out, but told.
select
    a.campaign, a.cycle, a.arm,
    count(distinct i.assignment_id) as subscribers,
    count(distinct i.assignment_id) filter (where i.is_refusal) as refused
from inbound_contacts as i
inner join assignments as a on i.assignment_id = a.assignment_id
where (cast(:campaign as text) is null or a.campaign = :campaign) and not a.is_recalled
group by a.campaign, a.cycle, a.arm
order by a.campaign, a.cycle, a.arm
