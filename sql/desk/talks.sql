-- name: find_subscriber
-- The id as it is known that was typed, exactly or else but for its case; null when nobody, or more than one, has it.
select subscriber_id, alike
from known_subscriber(:typed)

-- name: record_inbound
-- A talk the subscriber began; gives its number, or the released ticket it belongs on.
select inbound_id, ticket_id, team
from record_inbound(:campaign, :subscriber_id, :now, :channel, :needs, :said, :done, :is_refusal)

-- name: hear_refusal
-- The subscriber of a talk, or of the ticket it belongs on, wants no calls; which tickets ended, and which wait for their lead.
select ended, waiting
from hear_refusal(:inbound_id, :campaign, :subscriber_id, :now, :said, :at_most)

-- name: read_waiting_refusals
-- Refusals somebody else heard that wait for a lead, with the unfinished tickets the person sees of the customer.
select
    r.refusal_id, r.refused_at, r.words, s.name as heard_by, array_agg(t.ticket_id order by t.ticket_id) as ticket_ids
from refusals as r
inner join staff as s on r.staff_id = s.staff_id
inner join tickets as t on r.customer_key = t.customer_key or r.subscriber_id = t.subscriber_id
where r.awaits_lead and r.staff_id <> :staff_id and not is_finished(t.state)
group by r.refusal_id, r.refused_at, r.words, s.name
order by r.refusal_id
limit 60

-- name: decide_refusal
-- A lead confirms a refusal, which ends its tickets, or withdraws it; null when it is not theirs to decide, or decided.
select decide_refusal(:refusal_id, :is_confirmed, :now)
