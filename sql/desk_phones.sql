-- name: use_phone
-- The number of a ticket, its use recorded in the same statement.
select msisdn, is_over
from use_phone(:kind, :ticket_id, :now, :at_most)

-- name: record_use
-- Whether one more use of a kind was recorded, or the day had them all.
select record_use(:kind, null, :now, :at_most)

-- name: find_by_number
-- The tickets behind a number or its last 4 digits, the search recorded in the same statement.
select ticket_id, is_over
from find_by_number(:digits, :now, :at_most)

-- name: find_tickets
-- Tickets by their number, by subscriber, or by numbers found before, newest first.
select
    t.ticket_id, t.subscriber_id, t.state, t.grade, t.team, t.cycle, t.closed_at, s.name as assignee
from tickets as t
left join staff as s on t.assignee_id = s.staff_id
where
    t.ticket_id = any(cast(:ticket_ids as bigint []))
    or t.subscriber_id = cast(:subscriber_id as text)
order by t.ticket_id desc
limit 60

-- name: find_frozen
-- Why a ticket rests, if it does.
select frozen_because
from tickets
where ticket_id = :ticket_id
