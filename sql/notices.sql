-- name: announce
-- A notice to operations, once per key.
insert into notices (dedupe_key, kind, audience, details, created_at)
values (:dedupe_key, :kind, 'operations', cast(:details as jsonb), :now)
on conflict (dedupe_key) do nothing
returning notice_id

-- name: read_heartbeats
-- When each watcher last finished.
select name, ticked_at
from heartbeats

-- name: await_heartbeats
-- A watcher nobody has seen yet is awaited from now on.
insert into heartbeats (name, ticked_at, facts)
select name, :now, '{"awaited": true}'
from unnest(cast(:names as text [])) as watcher (name)
on conflict (name) do nothing

-- name: count_dead_messages
-- Messages given up.
select count(*) as dead
from messages
where dead_at is not null

-- name: put_aside_untold
-- Kinds that nobody is to be told of are only kept.
update notices
set gathered_at = :now
where gathered_at is null and kind = any(cast(:kinds as text []))

-- name: put_aside_settled
-- A warning of a clock that was met or voided before anybody was told is told to nobody.
update notices as n
set gathered_at = :now
where
    n.gathered_at is null and n.kind = 'clock_warned'
    and not exists (
        select from ticket_clocks as c
        where
            c.ticket_id = n.ticket_id and c.clock = n.details ->> 'clock'
            and c.met_at is null and c.voided_at is null
    )

-- name: find_posts
-- The teams and branches somebody works in.
select distinct team, branch_code
from staff
where is_active

-- name: find_for_operations
-- What operations are to be told now: pages at once, the rest in the morning after.
select notice_id, kind, ticket_id, details
from notices
where
    gathered_at is null and audience = 'operations'
    and (
        kind = any(cast(:pages as text []))
        or (kind = any(cast(:mornings as text [])) and created_at < :opened_at)
    )
order by notice_id

-- name: find_for_staff
-- What people at work now are to be told: the person meant, else the lead, else a manager of the branch.
with pending as materialized (
    select
        n.notice_id, n.kind, n.audience, n.staff_id, n.ticket_id, n.details, t.campaign, known.team, known.branch_code,
        -- notices to the same person or place are judged as one
        dense_rank() over (order by n.audience, n.staff_id, known.team, known.branch_code) as circle
    from notices as n
    left join tickets as t on n.ticket_id = t.ticket_id
    left join staff as s on n.staff_id = s.staff_id
    cross join lateral (
        select coalesce(t.team, s.team) as team, coalesce(t.branch_code, s.branch_code, n.details ->> 'branch_code') as branch_code
    ) as known
    where
        n.gathered_at is null and n.audience <> 'operations'
        and (n.kind = any(:pages) or (n.kind = any(:mornings) and n.created_at < :opened_at))
),

circles as materialized (
    select known.*, branch_line(known.branch_code) as line
    from (select distinct circle, audience, staff_id, team, branch_code from pending) as known
),

here as materialized (
    select s.staff_id, s.name, s.role, s.team, s.branch_code, s.email
    from staff as s
    where s.is_active and s.is_present and not is_away(s.staff_id, :today)
),

meant as (
    select c.circle, h.staff_id, 0 as step
    from circles as c inner join here as h on c.staff_id = h.staff_id
    where c.audience = 'assignee'
    union all
    select c.circle, h.staff_id, 1 as step
    from circles as c inner join here as h on c.team = h.team
    where c.audience in ('assignee', 'lead') and h.role = 'lead'
    union all
    select c.circle, h.staff_id, case when h.branch_code = any(c.line) then 2 else 3 end as step
    from circles as c inner join here as h on h.role = 'manager'
),

nearest as materialized (
    select circle, staff_id
    from (select circle, staff_id, rank() over (partition by circle order by step) as place from meant) as placed
    where place = 1
),

told as materialized (
    select h.staff_id, h.name, h.email, n.circle
    from nearest as n
    inner join here as h on n.staff_id = h.staff_id
    inner join jsonb_to_recordset(cast(:posts as jsonb)) as o (team text, branch_code text, is_worked boolean)
        on h.team = o.team and h.branch_code is not distinct from o.branch_code
    where
        -- on a rest day those on the roster are at work
        (o.is_worked or exists (select from shifts as w where w.staff_id = h.staff_id and w.day = :today))
        and not exists (select from messages as m where m.staff_id = h.staff_id and m.created_at > :told_before)
)

select told.staff_id as recipient, told.name, told.email, p.notice_id, p.kind, p.ticket_id, p.details, p.campaign
from told
inner join pending as p on told.circle = p.circle
order by told.staff_id, p.notice_id

-- name: write_messages
-- Digests, the notices in each, and that these are taken care of, in one statement.
with given as (
    select *
    from jsonb_to_recordset(cast(:messages as jsonb)) as each (
        dedupe_key text, channel text, staff_id bigint, address text, severity text, subject text, body text,
        notice_ids jsonb
    )
),

made as (
    insert into messages (
        dedupe_key, channel, staff_id, address, severity, subject, body, notices, created_at, next_attempt_at
    )
    select
        dedupe_key, channel, staff_id, address, severity, subject, body, jsonb_array_length(notice_ids),
        :now as created_at, :now as next_attempt_at
    from given
    order by severity desc, dedupe_key
    returning message_id, dedupe_key
),

pairs as (
    select m.message_id, cast(told.id as bigint) as notice_id
    from made as m
    inner join given as g on m.dedupe_key = g.dedupe_key
    cross join lateral jsonb_array_elements_text(g.notice_ids) as told (id)
),

linked as (
    insert into message_notices (message_id, notice_id)
    select message_id, notice_id from pairs
)

update notices as n
set gathered_at = :now
from (select distinct notice_id from pairs) as told
where n.notice_id = told.notice_id

-- name: claim_message
-- The next message due, leased to one deliverer; what another one holds is passed over.
update messages
set leased_until = :leased_until, attempts = attempts + 1
where message_id = (
    select message_id
    from messages
    where
        delivered_at is null and dead_at is null and next_attempt_at <= :now
        and (leased_until is null or leased_until < :now)
        and channel = any(cast(:channels as text []))
    order by severity desc, next_attempt_at, message_id
    limit 1
    for update skip locked
)
returning
    message_id, dedupe_key, channel, address, severity, subject, body, attempts,
    (select s.staff_code from staff as s where s.staff_id = messages.staff_id) as staff_code

-- name: mark_delivered
-- Handed over.
update messages
set delivered_at = :now, leased_until = null, error = null
where message_id = :message_id

-- name: mark_failed
-- Not handed over; tried again later.
update messages
set next_attempt_at = :next_attempt_at, leased_until = null, error = :error
where message_id = :message_id

-- name: mark_dead
-- Not handed over, and not tried again unless a person says so.
update messages
set dead_at = :now, leased_until = null, error = :error
where message_id = :message_id

-- name: revive_messages
-- Dead messages start over.
update messages
set dead_at = null, attempts = 0, next_attempt_at = :now, error = null
where dead_at is not null
returning message_id

-- name: list_waiting_messages
-- What is on its way or dead, oldest first.
select message_id, channel, address, severity, notices, created_at, attempts, dead_at, error
from messages
where delivered_at is null
order by message_id
limit 200
