-- name: read_open
-- Open tickets of a view, most urgent plan deadline first, after the last one of the page before. One's own, those of
-- nobody in a team and all of a team (or of all teams) are read apart, each in the order of an index of its own. Who
-- takes from a pool does not see beforehand what lies in it.
with fitting as not materialized (
    select t.*, coalesce(t.due_at, 'infinity') as sort_at
    from tickets as t
    where
        t.state = any(cast(:states as text []))
        and (not :unassigned or t.assignee_id is null)
        -- asked ticket by ticket: the breached come first in the order of deadlines
        and (not :escalated or (
            select max(b.breached_at) from ticket_clocks as b
            where b.ticket_id = t.ticket_id and b.clock = 'plan' and b.met_at is null and b.voided_at is null
        ) is not null)
        and (cast(:campaign as text) is null or t.campaign = :campaign)
        and (cast(:grade as text) is null or t.grade = :grade)
        and (cast(:region as text) is null or t.region_code = :region)
        and (cast(:tier as text) is null or t.tier = :tier)
        and (cast(:segment as text) is null or exists (
            select 1 from assignments as g
            where g.assignment_id = t.assignment_id and jsonb_exists(g.evidence #> '{strategy,segments}', :segment)
        ))
        and (
            cast(:after_id as bigint) is null
            or (coalesce(t.due_at, 'infinity'), t.ticket_id) > (cast(:after_at as timestamptz), :after_id)
        )
),

page as (
    (
        select * from fitting
        where assignee_id = cast(:own as bigint)
        order by sort_at, ticket_id limit :limit
    )
    union all
    (
        select * from fitting
        where assignee_id is null and team = cast(:nobodys as text) and (:pooled or not is_pool)
        order by sort_at, ticket_id limit :limit
    )
    union all
    (
        select * from fitting
        where :everybodys and (cast(:team as text) is null or team = :team)
        order by sort_at, ticket_id limit :limit
    )
)

select
    t.ticket_id, t.version, t.state, t.subscriber_id, t.grade, t.tier, t.region_code, t.value_yuan, t.team,
    t.assignee_id, t.branch_code, t.campaign, t.paused_until, t.expected_on, t.frozen_at, s.name as assignee,
    coalesce(a.evidence -> 'human_reasons' -> 0, a.evidence -> 'reasons' -> 0) as top_reason,
    a.evidence -> 'rules' -> 0 as top_rule,
    a.evidence #> '{strategy,segments}' as segments,
    t.due_at, c.warn_at, c.is_provisional, c.breached_at
from page as t
inner join assignments as a on t.assignment_id = a.assignment_id
left join staff as s on t.assignee_id = s.staff_id
left join ticket_clocks as c
    on t.ticket_id = c.ticket_id and c.clock = 'plan' and c.met_at is null and c.voided_at is null
order by t.sort_at, t.ticket_id
limit :limit

-- name: read_finished
-- Finished tickets of a view, newest first, before the last one of the page before; read apart as open ones are.
with fitting as not materialized (
    select t.*
    from tickets as t
    where
        is_finished(t.state)
        and (cast(:campaign as text) is null or t.campaign = :campaign)
        and (cast(:grade as text) is null or t.grade = :grade)
        and (cast(:region as text) is null or t.region_code = :region)
        and (cast(:tier as text) is null or t.tier = :tier)
        and (cast(:segment as text) is null or exists (
            select 1 from assignments as g
            where g.assignment_id = t.assignment_id and jsonb_exists(g.evidence #> '{strategy,segments}', :segment)
        ))
        and (
            cast(:after_id as bigint) is null
            or (t.closed_at, t.ticket_id) < (cast(:after_at as timestamptz), :after_id)
        )
),

page as (
    (
        select * from fitting
        where assignee_id = cast(:own as bigint)
        order by closed_at desc, ticket_id desc limit :limit
    )
    union all
    (
        select * from fitting
        where assignee_id is null and team = cast(:nobodys as text)
        order by closed_at desc, ticket_id desc limit :limit
    )
    union all
    (
        select * from fitting
        where :everybodys and (cast(:team as text) is null or team = :team)
        order by closed_at desc, ticket_id desc limit :limit
    )
)

select
    t.ticket_id, t.version, t.campaign, t.state, t.subscriber_id, t.grade, t.tier, t.region_code, t.value_yuan, t.team,
    t.assignee_id, t.outcome, t.closed_at, s.name as assignee
from page as t
left join staff as s on t.assignee_id = s.staff_id
order by t.closed_at desc, t.ticket_id desc
limit :limit

-- name: read_heirs
-- Who tickets of a team may be given to: the person asking and its active agents.
select staff_id, name
from staff
where is_active and (staff_id = :staff_id or (role = 'agent' and team = :team))
order by staff_id <> :staff_id, name

-- name: count_campaigns
-- How many tickets of a view each campaign has, the other filters aside; counted in an index.
select counted.campaign, cast(sum(counted.tickets) as bigint) as tickets
from (
    select t.campaign, count(*) as tickets
    from tickets as t
    where t.state = any(cast(:states as text [])) and t.assignee_id = cast(:own as bigint)
    group by t.campaign
    union all
    select t.campaign, count(*)
    from tickets as t
    where t.state = any(cast(:states as text [])) and t.assignee_id is null and t.team = cast(:nobodys as text)
    group by t.campaign
    union all
    select t.campaign, count(*)
    from tickets as t
    where
        -- every campaign has a name; said here, the index made for counting serves
        :everybodys and t.campaign > '' and t.state = any(cast(:states as text []))
        and (cast(:team as text) is null or t.team = :team) and (not :unassigned or t.assignee_id is null)
    group by t.campaign
) as counted
group by counted.campaign
order by counted.campaign

-- name: read_queue
-- The unfinished tickets of the viewer for a file, most urgent first; the number of the subscriber masked.
with urgent as (
    select t.*
    from tickets as t
    where
        not is_finished(t.state)
        and (cast(:team as text) is null or t.team = :team)
        and (cast(:campaign as text) is null or t.campaign = :campaign)
    order by t.due_at nulls last, t.rank, t.ticket_id
    limit :limit
)

select
    t.ticket_id, t.campaign, t.cycle, t.state, t.grade, t.tier, t.team, t.branch_code, t.region_code, t.value_yuan,
    lpad(right(t.subscriber_id, least(4, length(t.subscriber_id) / 2)), length(t.subscriber_id), '*') as subscriber,
    s.name as agent, t.released_at, t.due_at, k.breached_at
from urgent as t
left join staff as s on t.assignee_id = s.staff_id
left join ticket_clocks as k
    on t.ticket_id = k.ticket_id and k.clock = 'plan' and k.met_at is null and k.voided_at is null
order by t.due_at nulls last, t.rank, t.ticket_id

-- name: count_queue
-- How many unfinished tickets the viewer has.
select count(*)
from tickets
where
    not is_finished(state)
    and (cast(:team as text) is null or team = :team)
    and (cast(:campaign as text) is null or campaign = :campaign)
