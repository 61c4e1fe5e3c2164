-- name: begin
-- The erasure of a subscriber: the one that was begun and not finished, else a new one.
select begin_erasure(
    :subscriber, cast(:bucket as integer), cast(:through as text), :by, :because, :now
) as erasure_id

-- name: erase
-- One subscriber out of every table; rows changed by table.
select what, changed
from erase_subscriber(
    :subscriber, cast(:customers as text []), :pattern, :instead, :now
)
where changed > 0

-- name: finish
-- The erasure is done, or done again as far as it had come: counts of a run that was killed stay.
update erasures
set
    finished_at = cast(:finished_at as timestamptz),
    counts = counts || cast(:counts as jsonb)
where erasure_id = :erasure_id

-- name: other_writings
-- Writings of an id under which rows still stand that could not be brought to the canonical one: one stood there.
with named as (
    select subscriber_id as id from tickets
    union
    select subscriber_id from assignments
    union
    select subscriber_id from warnings
    union
    select subscriber_id from dispatch_decisions
    union
    select subscriber_id from outreach_items
    union
    select subscriber_id from subscriber_arms
    union
    select customer_key from arms
)

select id
from named
where
    id !~ '^[0-9A-Za-z_][0-9A-Za-z_-]*$' and id !~ '^erased-' and id <> :subscriber
    and canonical_id(id) = :subscriber
order by id

-- name: phones
-- The numbers by which a subscriber was to be called.
select distinct ticket_phones.msisdn
from ticket_phones
inner join tickets on ticket_phones.ticket_id = tickets.ticket_id
where tickets.subscriber_id = :subscriber

-- name: own_customers
-- The customers that stand behind this subscriber and no other one.
with known as (
    select customer_key, subscriber_id from warnings
    union all
    select customer_key, subscriber_id from assignments
    union all
    select customer_key, subscriber_id from inbound_contacts
    union all
    select customer_key, subscriber_id from outreach_items
),

theirs as (
    select customer_key from known
    where subscriber_id = :subscriber
    union
    select customer_key from standing_limits
    where subscriber_id = :subscriber
    union
    select customer_key from refusals
    where subscriber_id = :subscriber
)

select customer_key from theirs
where
    not exists (
        select 1 from known
        where known.customer_key = theirs.customer_key and known.subscriber_id <> :subscriber
    )

-- name: kept_out
-- The erased whose facts of a month are kept out, and the secret their hashes are made with.
select
    erasures.bucket,
    erasures.subscriber_hash,
    erasure_salts.salt
from erasures
cross join erasure_salts
where erasures.kept_out_through is null or erasures.kept_out_through >= :month
