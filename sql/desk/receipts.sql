-- name: find_receipt
-- What a person's request under a key led to, and what it asked for.
select answer, request_sha256
from idempotency_keys
where staff_id = :staff_id and key = :key and recorded_at > cast(:since as timestamptz)

-- name: forget_receipts
-- Keys older than any honest repetition.
delete from idempotency_keys
where staff_id = :staff_id and recorded_at <= cast(:forgotten_since as timestamptz)

-- name: forget_receipt
-- The key of a request that may be made again.
delete from idempotency_keys
where staff_id = :staff_id and key = :key

-- name: write_receipt
-- What a request led to, kept with what it did; the same words said again after a while are another request.
insert into idempotency_keys (staff_id, key, request_sha256, answer, recorded_at)
values (:staff_id, :key, :request_sha256, cast(:answer as jsonb), :now)
on conflict (staff_id, key) do update
set request_sha256 = excluded.request_sha256, answer = excluded.answer, recorded_at = excluded.recorded_at
