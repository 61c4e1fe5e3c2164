-- name: use_phone
-- The number of a ticket, its use recorded in the same statement.
select msisdn, is_over
from use_phone(:kind, :ticket_id, :now, :at_most)

-- name: find_use
-- The person's newest use of a ticket's number.
select max(use_id)
from desk_uses
where ticket_id = :ticket_id and staff_id = :staff_id and kind = :kind

-- name: find_number_of_use
-- The number a use of the person was recorded for not long ago, and what it was given for.
select u.kind, u.ticket_id, given.number
from desk_uses as u
cross join phone_of_use(u.use_id, :now, cast(:shown as interval)) as given (number)
where u.use_id = :use_id and u.staff_id = desk_staff_id() and given.number is not null

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
    t.ticket_id, t.campaign, t.cycle, t.subscriber_id, t.state, t.grade, t.team, t.closed_at, s.name as assignee
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
