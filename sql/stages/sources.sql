-- name: find_closed
-- Whose ticket of a campaign ended with one of these outcomes in a span: how often, and on which day the last time.
select
    subscriber_id,
    count(*) as times,
    max(cast(closed_at at time zone 'Asia/Shanghai' as date)) as last_on
from tickets
where
    campaign = :campaign
    and state = 'closed'
    and not is_recalled
    and outcome = any(cast(:outcomes as text []))
    and closed_at >= :since
    and closed_at < :until
group by subscriber_id
