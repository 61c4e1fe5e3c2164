-- name: find_cycle
-- The cycle whose secondary tier is to be listed, and whether it was dispatched.
select month, as_of, fixed_at
from cycles
where campaign = :campaign and cycle = :cycle

-- name: count_items
-- What was decided already, by decision, reason and channel.
select decision, reason, channel, count(*) as subscribers
from outreach_items
where campaign = :campaign and cycle = :cycle
group by decision, reason, channel
order by decision, reason, channel

-- name: find_prospects
-- The secondary tier of what people act on, best rank first, with the gravest reason the database knows against it.
with secondary as (
    select subscriber_id, customer_key, rank, grade, rule_hits
    from warnings
    where campaign = :campaign and cycle = :cycle and revision = 0 and tier = 'secondary'
),

-- customers and numbers nothing may be sent to
barred (customer_key, subscriber_id, reason, gravity) as (
    -- joined instead of asking standing_limit() for each of a whole tier
    select
        case when holds_for_customer then customer_key end, case when holds_for_number then subscriber_id end,
        kind, least(gravity, 2)
    from limits_in_force
    where valid_from <= :day and (valid_to is null or valid_to >= :day)
    union all
    select customer_key, subscriber_id, 'unfinished_ticket', 3 from tickets
    where not is_finished(state)
    union all
    select a.customer_key, a.subscriber_id, 'cooling_off', 4
    from assignments as a
    inner join cycles as c on a.campaign = c.campaign and a.cycle = c.cycle
    where
        a.campaign = :campaign and not a.is_recalled
        and c.as_of > cast(:as_of as timestamptz) - make_interval(days => :cooling_off_days)
        and c.as_of <= :as_of
    union all
    select i.customer_key, i.subscriber_id, 'cooling_off', 4
    from outreach_items as i
    inner join cycles as c on i.campaign = c.campaign and i.cycle = c.cycle
    where
        i.campaign = :campaign and i.cycle <> :cycle and i.decision in ('listed', 'held_out')
        and c.as_of > cast(:as_of as timestamptz) - make_interval(days => :cooling_off_days)
        and c.as_of <= :as_of
),

gravest as (
    select distinct on (subscriber_id) subscriber_id, reason
    from (
        select s.subscriber_id, b.reason, b.gravity from secondary as s
        inner join barred as b on s.customer_key = b.customer_key
        union all
        select s.subscriber_id, b.reason, b.gravity from secondary as s
        inner join barred as b on s.subscriber_id = b.subscriber_id
    ) as found
    order by subscriber_id, gravity
)

select secondary.*, gravest.reason as barred
from secondary
left join gravest using (subscriber_id)
order by secondary.rank, secondary.subscriber_id

-- name: find_left_alone
-- Whom a draw holds out, for whoever measures a campaign by being left alone is left alone; and whom another campaign has.
with spans as (
    select measure, epoch
    from unnest(cast(:measures as text []), cast(:epochs as text [])) as given (measure, epoch)
),

alone (customer_key, subscriber_id, reason) as (
    select arms.customer_key, null, 'held_out'
    from arms
    inner join spans on arms.measure = spans.measure and arms.epoch = spans.epoch
    where arms.arm = 'held_out'
    union all
    select null, arms.subscriber_id, 'held_out'
    from subscriber_arms as arms
    inner join spans on arms.measure = spans.measure and arms.epoch = spans.epoch
    where arms.arm = 'held_out'
    union all
    -- either arm until the horizon ends, or the other campaign's treated and held-out would fare differently
    select a.customer_key, a.subscriber_id, 'assigned_elsewhere'
    from assignments as a
    inner join cycles as c on a.campaign = c.campaign and a.cycle = c.cycle
    where a.campaign <> :campaign and not a.is_recalled and c.horizon_ends_at > :as_of
),

secondary as (
    select subscriber_id, customer_key
    from warnings
    where campaign = :campaign and cycle = :cycle and revision = 0 and tier = 'secondary'
)

select found.subscriber_id, max(found.reason) as reason -- held_out before assigned_elsewhere
from (
    select s.subscriber_id, a.reason from secondary as s
    inner join alone as a on s.customer_key = a.customer_key
    union all
    select s.subscriber_id, a.reason from secondary as s
    inner join alone as a on s.subscriber_id = a.subscriber_id
) as found
group by found.subscriber_id

-- name: find_capped
-- Whom all campaigns together have taken up as often as they may, in a month or in a quarter.
with secondary as (
    select subscriber_id, customer_key
    from warnings
    where campaign = :campaign and cycle = :cycle and revision = 0 and tier = 'secondary'
),

recent as (
    select * from taken_up
    where taken_up_at > cast(:now as timestamptz) - interval '92 days'
),

-- once, whether found by customer or by number
theirs as (
    select s.subscriber_id, r.campaign, r.cycle, r.subscriber_id as number, r.taken_up_at
    from secondary as s
    inner join recent as r on s.customer_key = r.customer_key
    union
    select s.subscriber_id, r.campaign, r.cycle, r.subscriber_id as number, r.taken_up_at
    from secondary as s
    inner join recent as r on s.subscriber_id = r.subscriber_id
),

counted as (
    select
        subscriber_id,
        count(*) filter (where taken_up_at > cast(:now as timestamptz) - interval '31 days') as in_month,
        count(*) as in_quarter
    from theirs
    group by subscriber_id
)

select subscriber_id, case when in_month >= :cap_month then 'cap_month' else 'cap_quarter' end as reason
from counted
where in_month >= :cap_month or in_quarter >= :cap_quarter

-- name: read_list
-- The list of a cycle by rank; who may not be written to any more carries the reason.
select
    i.subscriber_id, i.rank, i.grade, i.strategy, i.offer, i.channel, c.month,
    coalesce(
        standing_limit(i.subscriber_id, i.customer_key, :day),
        case
            when exists (
                select 1 from tickets as t
                where t.customer_key = i.customer_key and not is_finished(t.state)
            ) or exists (
                select 1 from tickets as t
                where t.subscriber_id = i.subscriber_id and not is_finished(t.state)
            ) then 'unfinished_ticket'
            when is_stopped(i.campaign, null, w.region_code, w.branch_code) then 'stopped'
        end
    ) as barred
from outreach_items as i
inner join cycles as c on i.campaign = c.campaign and i.cycle = c.cycle
left join warnings as w
    on i.campaign = w.campaign and i.cycle = w.cycle and w.revision = 0 and i.subscriber_id = w.subscriber_id
where i.campaign = :campaign and i.cycle = :cycle and i.decision = 'listed'
order by i.rank, i.subscriber_id

-- name: read_arms
-- Who was listed and who was held out of the list, which measures it.
select subscriber_id, decision
from outreach_items
where campaign = :campaign and cycle = :cycle and decision in ('listed', 'held_out')

-- name: record_audit
-- Who took a list out, and which file it became.
insert into audit_log (happened_at, actor, action, subject, details)
values (:now, :by, :action, :subject, cast(:details as jsonb))
