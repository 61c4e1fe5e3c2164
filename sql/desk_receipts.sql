-- name: find_receipt
-- What a person's request under a key asked for and which version it left.
select request_sha256, version
from idempotency_keys
where staff_id = :staff_id and key = :key and recorded_at > cast(:now as timestamptz) - interval '7 days'

-- name: forget_receipts
-- Keys older than any honest repetition.
delete from idempotency_keys
where staff_id = :staff_id and recorded_at <= cast(:now as timestamptz) - interval '7 days'

-- name: write_receipt
-- The answer of a request, kept with what it did.
insert into idempotency_keys (staff_id, key, request_sha256, ticket_id, version, recorded_at)
values (:staff_id, :key, :request_sha256, :ticket_id, :version, :now)
