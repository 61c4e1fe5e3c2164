-- name: lock_listed
-- Lock tickets in the order of their number, as everybody does, so that nobody waits in a ring.
select ticket_id
from tickets
where ticket_id = any(cast(:ticket_ids as bigint []))
order by ticket_id
for no key update

-- name: reassign_listed
-- Give each listed ticket to its heir, with an event, or say why not: state, version, heir or sight are wrong.
with wanted as (
    select place, ticket_id, version, heir_id
    from unnest(cast(:ticket_ids as bigint []), cast(:versions as integer []), cast(:heir_ids as bigint []))
        with ordinality as w (ticket_id, version, heir_id, place)
),

judged as (
    select
        w.place,
        w.ticket_id,
        w.heir_id,
        t.assignee_id,
        t.state,
        t.version,
        case
            when t.ticket_id is null then 'hidden'
            when t.version <> w.version then 'stale'
            when t.state <> all(cast(:states as text [])) then 'state'
            when s.staff_id is null then 'heir'
            when t.assignee_id = w.heir_id then 'same'
        end as fault
    from wanted as w
    left join tickets as t on w.ticket_id = t.ticket_id
    left join staff as s on w.heir_id = s.staff_id and s.is_active and t.team = s.team
),

changed as (
    update tickets as t
    set assignee_id = judged.heir_id, version = t.version + 1
    from judged
    where t.ticket_id = judged.ticket_id and judged.fault is null
    returning t.ticket_id, t.version, t.state, judged.assignee_id as from_id, judged.heir_id as to_id
),

told as (
    insert into ticket_events (ticket_id, version, kind, from_state, to_state, staff_id, actor, occurred_at, details)
    select
        ticket_id, version, 'reassign', changed.state as from_state, changed.state as to_state, :staff_id, :actor, :now,
        cast(:details as jsonb) || jsonb_build_object('from', from_id, 'to', to_id)
    from changed
)

select
    judged.ticket_id,
    judged.heir_id,
    judged.fault,
    judged.state,
    coalesce(changed.version, judged.version) as version
from judged
left join changed on judged.ticket_id = changed.ticket_id
order by judged.place

-- name: find_person
-- A person, at work or gone.
select staff_id, staff_code, name, role, team, branch_code, airflow_username, is_active
from staff
where staff_id = :staff_id

-- name: find_squad
-- Who may take over from a leaver: active agents of the team, their own branch first, with their work in hand.
select
    s.staff_id,
    s.staff_code,
    s.name,
    s.skills,
    s.contacts_per_day,
    coalesce(s.branch_code, '') = coalesce(cast(:branch_code as text), '') as is_near,
    s.is_present and not is_away(s.staff_id, :day) as is_here,
    (
        select count(*) from tickets as t
        where t.assignee_id = s.staff_id and t.state in ('assigned', 'in_progress', 'paused')
    ) as unfinished
from staff as s
where s.is_active and s.role = 'agent' and s.team = :team and s.staff_id <> :leaver_id
order by s.staff_id

-- name: lock_held
-- The unfinished tickets of a person, most urgent first, locked until they are somebody else's.
select t.ticket_id, t.version, t.skill, t.team
from tickets as t
where t.assignee_id = :leaver_id and t.state in ('assigned', 'in_progress', 'paused')
order by t.ticket_id
for no key update

-- name: list_promised
-- Call-backs promised on these tickets that are still to come, the latest promise of each, by time.
select t.ticket_id, t.assignee_id, t.subscriber_id, p.call_back_at
from tickets as t
cross join lateral (
    select a.call_back_at
    from contact_attempts as a
    where a.ticket_id = t.ticket_id and a.call_back_at >= :now
    order by a.attempted_at desc, a.attempt_id desc
    limit 1
) as p
where t.ticket_id = any(cast(:ticket_ids as bigint []))
order by p.call_back_at, t.ticket_id

-- name: retire
-- The person works here no longer; only a manager or the lead of the team may say so.
select retire_staff(:leaver_id)

-- name: keep_hand_over
-- A hand-over is asked about later: who left, on whose word, who got how many.
insert into audit_log (happened_at, actor, action, subject, details)
values (:now, :actor, 'hand_over', :subject, cast(:details as jsonb))
