-- name: expire_waiting
-- What nobody could be given in the days its campaign lets it wait is stale, whichever campaign looks.
with stale as (
    -- who else expires or hands out one of these at this moment has done so
    select ticket_id
    from tickets
    where state = 'waiting' and expires_at <= :now
    for update skip locked
),

expired as (
    update tickets
    set state = 'expired', version = version + 1, closed_at = :now
    where ticket_id in (select ticket_id from stale)
    returning ticket_id, version, expires_at
)

insert into ticket_events (ticket_id, version, kind, from_state, to_state, actor, occurred_at, details)
select
    ticket_id, version, 'expire', 'waiting', 'expired', 'loop', :now, jsonb_build_object('expires_at', expires_at)
from expired
