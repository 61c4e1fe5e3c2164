-- name: past_refusals
-- Customers who refused contact or could not be reached in the two cycles before, as known before as_of: by which
-- number, and on which day the last time.
with recent as (
    select cycle
    from cycles
    where campaign = :campaign and cycle < :cycle
    order by cycle desc
    limit 2
)

select
    t.customer_key,
    t.subscriber_id,
    max(cast(t.closed_at at time zone 'Asia/Shanghai' as date)) as refused_on
from tickets as t
inner join recent as r on t.cycle = r.cycle
where
    t.campaign = :campaign
    and t.state = 'closed'
    and t.outcome in ('refused_contact', 'unreachable')
    and t.closed_at < :as_of
group by t.customer_key, t.subscriber_id

-- name: warned
-- Whom people act on of a cycle, and how they were graded.
select
    subscriber_id,
    grade,
    tier,
    rank
from warnings
where campaign = :campaign and cycle = :cycle and revision = 0

-- name: delete_warnings
-- Make room for the warnings of a revision that is graded again.
delete from warnings
where campaign = :campaign and cycle = :cycle and revision = :revision

-- name: stage_warnings
-- A place for the new warnings to be copied into; gone when the transaction ends.
create temporary table staged_warnings (like warnings) on commit drop

-- name: insert_warnings
-- The staged warnings become the revision's own, in one statement.
insert into warnings
select * from staged_warnings

-- name: analyze_warnings
-- The planner learns of the new warnings before dispatch joins them with the past.
select analyze_warnings()
