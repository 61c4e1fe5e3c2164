-- The board of one campaign or of all: figures over several campaigns, by what a campaign splits its list by, who was
-- left out for whom, and what else reached the people of a measured campaign.
set local role churn_owner;

-- ---------------------------------------------------------------- the queue

-- How many open tickets each campaign has in a view, without reading one. It is for who asks for `campaign > ''` alone:
-- the views, whose order it has not, shall not take it for theirs.
create index tickets_open_by_campaign on tickets (team, campaign, assignee_id, state)
where state in ('waiting', 'assigned', 'in_progress', 'paused') and campaign > '';

-- ---------------------------------------------------------------- splits

-- evidence is long: what a list is split by is read without it
alter table assignments add splits jsonb generated always as (evidence -> 'splits') stored;
comment on column assignments.splits is 'of the evidence the values by which the campaign splits its list, by profile column';
create index assignments_split on assignments (assignment_id) include (splits) where splits is not null;

create function board_splits(of_campaigns text [], of_cycles text []) returns table (ticket_id bigint, splits jsonb)
language sql stable security definer set search_path = public, pg_temp
begin atomic
    select t.ticket_id, a.splits
    from staff as me
    inner join tickets as t on me.role = 'manager' or (me.role = 'lead' and me.team = t.team)
    inner join assignments as a on t.assignment_id = a.assignment_id and a.splits is not null
    where
        me.staff_id = desk_staff_id() and me.is_active and not t.is_recalled and t.merged_into is null
        and t.campaign = any(of_campaigns) and t.cycle = any(of_cycles);
end;
comment on function board_splits is 'the split values of the tickets of board_tickets of some cycles, of those that have any';

-- ---------------------------------------------------------------- work and clocks of several campaigns

-- the tenure cluster is looked up ticket by ticket: joined, the warnings of all cycles are read where several are asked for
create or replace view board_tickets with (security_barrier) as
select
    t.ticket_id, t.campaign, t.cycle, t.team, t.branch_code, t.region_code, t.grade, t.tier, t.state, t.outcome,
    t.assignee_id, t.released_at, t.closed_at,
    (
        select w.cluster from warnings as w
        where
            w.campaign = t.campaign and w.cycle = t.cycle and w.revision = 0
            and w.subscriber_id = t.subscriber_id
    ) as cluster,
    (
        select p.strategy from retention_plans as p
        where p.ticket_id = t.ticket_id
        order by p.recorded_at desc, p.plan_id desc limit 1
    ) as strategy
from staff as me
inner join tickets as t on me.role = 'manager' or (me.role = 'lead' and me.team = t.team)
where me.staff_id = desk_staff_id() and me.is_active and not t.is_recalled and t.merged_into is null;

drop function board_work(text, text []);
create function board_work(of_campaigns text [], of_cycles text [])
returns table (
    ticket_id bigint, campaign text, cycle text, team text, branch_code text, assignee_id bigint, led_by text,
    shared_by text, state text, outcome text, released_at timestamptz, is_contacted boolean, is_answered boolean,
    is_planned boolean, is_processed boolean, is_completed boolean
)
language sql stable security definer set search_path = public, pg_temp set work_mem = '64MB'
begin atomic
    with seen as materialized (
        select
            t.ticket_id, t.campaign, t.cycle, t.team, t.branch_code, t.assignee_id, t.led_by, t.shared_by, t.state,
            t.outcome, t.released_at
        from staff as me
        inner join tickets as t on me.role = 'manager' or (me.role = 'lead' and me.team = t.team)
        where
            me.staff_id = desk_staff_id() and me.is_active and not t.is_recalled and t.merged_into is null
            and t.campaign = any(of_campaigns) and t.cycle = any(of_cycles)
    ),

    -- a cycle's tickets are numbered in a row: what hangs on them is read from there to there, not from the beginning
    span as materialized (select min(ticket_id) as first, max(ticket_id) as last from seen),

    contacted as materialized (
        select tried.ticket_id, bool_or(tried.result <> 'no_answer') as is_answered
        from (
            select a.ticket_id, a.result
            from contact_attempts as a
            where a.ticket_id between (select first from span) and (select last from span)
            union all
            -- what was done on a ticket merged into another counts for that one
            select f.merged_into, a.result
            from tickets as f
            inner join contact_attempts as a on f.ticket_id = a.ticket_id
            where f.merged_into between (select first from span) and (select last from span)
        ) as tried
        group by tried.ticket_id
    ),

    planned as materialized (
        select distinct p.ticket_id
        from retention_plans as p
        where p.ticket_id between (select first from span) and (select last from span)
    ),

    processed as materialized (
        select p.ticket_id, bool_or(p.result = 'done') as is_completed
        from plan_processings as p
        where p.ticket_id between (select first from span) and (select last from span)
        group by p.ticket_id
    )

    select
        s.ticket_id, s.campaign, s.cycle, s.team, s.branch_code, s.assignee_id, s.led_by, s.shared_by, s.state,
        s.outcome, s.released_at, c.ticket_id is not null, coalesce(c.is_answered, false), p.ticket_id is not null,
        d.ticket_id is not null, coalesce(d.is_completed, false)
    from seen as s
    left join contacted as c on s.ticket_id = c.ticket_id
    left join planned as p on s.ticket_id = p.ticket_id
    left join processed as d on s.ticket_id = d.ticket_id;
end;
comment on function board_work is
'the tickets of board_tickets of some campaigns and cycles with how far work on each has come, read in one pass';

drop function board_verdicts(text, text, timestamptz);
create function board_verdicts(of_campaigns text [], of_cycles text [], at timestamptz)
returns table (campaign text, team text, assignee_id bigint, clock text, verdict text)
language sql stable security definer set search_path = public, pg_temp set work_mem = '64MB'
begin atomic
    with seen as materialized (
        select t.ticket_id, t.campaign, t.team, t.assignee_id
        from staff as me
        inner join tickets as t on me.role = 'manager' or (me.role = 'lead' and me.team = t.team)
        where
            me.staff_id = desk_staff_id() and me.is_active and not t.is_recalled and t.merged_into is null
            and t.campaign = any(of_campaigns) and t.cycle = any(of_cycles)
    ),

    span as materialized (select min(ticket_id) as first, max(ticket_id) as last from seen)

    select
        s.campaign, s.team, s.assignee_id, k.clock,
        case
            when k.breached_at is not null or (k.met_at is null and k.voided_at is null and k.due_at < at)
                then 'breached'
            when k.met_at is not null then 'on_time'
            when k.voided_at is not null then 'void'
            else 'open'
        end
    from seen as s
    inner join ticket_clocks as k on s.ticket_id = k.ticket_id
    where k.ticket_id between (select first from span) and (select last from span);
end;
comment on function board_verdicts is
'what became of each service clock of the tickets of board_tickets of some campaigns and cycles; a deadline passed is breached';

-- ---------------------------------------------------------------- who was left out, and for whom

create index dispatch_decisions_told on dispatch_decisions (campaign, cycle, decision, team, reason, yields_to);
drop index dispatch_decisions_counted;
create view board_suppressed with (security_barrier) as
select d.campaign, d.cycle, d.reason, d.yields_to, count(*) as subscribers
from staff as me
inner join dispatch_decisions as d on me.role = 'manager' or (me.role = 'lead' and me.team = d.team)
where me.staff_id = desk_staff_id() and me.is_active and d.decision = 'ineligible'
group by d.campaign, d.cycle, d.reason, d.yields_to;
comment on view board_suppressed is
'how many each dispatch left out, by reason and the campaign they are left to: a lead''s own team, a manager all';

-- ---------------------------------------------------------------- what else reached the people of a measured campaign

create function board_exposure(of_campaigns text [], of_cycles text [], of_service text [])
returns table (
    campaign text, arm text, assigned bigint, by_service bigint, by_unmeasured bigint, by_measured bigint, began_talk bigint
)
language sql stable security definer set search_path = public, pg_temp set work_mem = '64MB'
begin atomic
    with drawn as materialized (
        select d.campaign, d.subscriber_id, d.customer_key, d.decision, d.decided_at, c.horizon_ends_at
        from staff as me
        inner join cycles as c on me.role in ('lead', 'manager')
        inner join dispatch_decisions as d on c.campaign = d.campaign and c.cycle = d.cycle
        where
            me.staff_id = desk_staff_id() and me.is_active
            and c.campaign = any(of_campaigns) and c.cycle = any(of_cycles)
            and c.measure is not null and not c.is_shadow and d.decision in ('treated', 'held_out')
    ),

    reached as (
        select
            d.campaign, d.decision, d.subscriber_id,
            case
                when t.campaign = any(of_service) then 'service' when o.measure is null then 'unmeasured'
                else 'measured'
            end as how
        from drawn as d
        inner join tickets as t on d.customer_key = t.customer_key and d.campaign <> t.campaign
        inner join cycles as o on t.campaign = o.campaign and t.cycle = o.cycle
        where
            -- where one campaign is alone, nobody's tickets are looked for
            (select min(every.campaign) <> max(every.campaign) from cycles as every where not every.is_shadow)
            and exists (
                select 1 from contact_attempts as k
                where
                    k.ticket_id = t.ticket_id and k.attempted_at >= d.decided_at
                    and (d.horizon_ends_at is null or k.attempted_at < d.horizon_ends_at)
            )
        union all
        select d.campaign, d.decision, d.subscriber_id, 'talk'
        from inbound_contacts as i
        inner join drawn as d on i.customer_key = d.customer_key
        where i.recorded_at >= d.decided_at and (d.horizon_ends_at is null or i.recorded_at < d.horizon_ends_at)
    ),

    counted as (
        select
            r.campaign, r.decision,
            count(distinct r.subscriber_id) filter (where r.how = 'service') as by_service,
            count(distinct r.subscriber_id) filter (where r.how = 'unmeasured') as by_unmeasured,
            count(distinct r.subscriber_id) filter (where r.how = 'measured') as by_measured,
            count(distinct r.subscriber_id) filter (where r.how = 'talk') as began_talk
        from reached as r
        group by r.campaign, r.decision
    )

    select
        n.campaign, n.decision, n.assigned, coalesce(e.by_service, 0), coalesce(e.by_unmeasured, 0),
        coalesce(e.by_measured, 0), coalesce(e.began_talk, 0)
    from (
        select d.campaign, d.decision, count(*) as assigned from drawn as d
        group by d.campaign, d.decision
    ) as n
    left join counted as e on n.campaign = e.campaign and n.decision = e.decision;
end;
comment on function board_exposure is
'by arm how many of a measured campaign another one''s ticket reached, or began a talk, before the horizon ended; for leads and managers';

revoke execute on function board_splits, board_work, board_verdicts, board_exposure from public;
grant execute on function board_splits, board_work, board_verdicts, board_exposure to churn_desk;
grant select on board_suppressed to churn_desk;

reset role;
