-- name: phones
-- Numbers to call of tickets that were closed before.
with gone as (
    delete from ticket_phones
    using tickets
    where ticket_phones.ticket_id = tickets.ticket_id and tickets.closed_at < :before
    returning 1
)

select count(*) as rows from gone

-- name: notes
-- What people wrote about talks on tickets that were closed before; the records themselves stay.
with closed as (
    select ticket_id from tickets
    where closed_at < :before
),

attempts as (
    update contact_attempts set note = null
    where note is not null and ticket_id in (select closed.ticket_id from closed)
    returning 1
),

surveys as (
    update needs_surveys set note = case when 'other' = any(needs) then 'erased' end
    where note <> 'erased' and ticket_id in (select closed.ticket_id from closed)
    returning 1
),

plans as (
    update retention_plans set note = null
    where note is not null and ticket_id in (select closed.ticket_id from closed)
    returning 1
),

processings as (
    update plan_processings set note = null
    where note is not null and ticket_id in (select closed.ticket_id from closed)
    returning 1
),

tasks as (
    update linked_tasks set words = 'erased', result = 'erased'
    where
        done_at < :before and (words <> 'erased' or result <> 'erased')
        and ticket_id in (select closed.ticket_id from closed)
    returning 1
),

refused as (
    update refusals set words = 'erased'
    where words <> 'erased' and ticket_id in (select closed.ticket_id from closed)
    returning 1
)

select
    (select count(*) from attempts)
    + (select count(*) from surveys)
    + (select count(*) from plans)
    + (select count(*) from processings)
    + (select count(*) from tasks)
    + (select count(*) from refused)
    + retire_event_notes(:before) as rows

-- name: inbound
-- What callers without a ticket said before, with the words of what followed; the records themselves stay.
with calls as (
    update inbound_contacts set said = 'erased', done = 'erased'
    where recorded_at < :before and (said <> 'erased' or done <> 'erased')
    returning 1
),

tasks as (
    update linked_tasks set words = 'erased', result = 'erased'
    where inbound_id is not null and done_at < :before and (words <> 'erased' or result <> 'erased')
    returning 1
),

refused as (
    update refusals set words = 'erased'
    where inbound_id is not null and refused_at < :before and words <> 'erased'
    returning 1
)

select (select count(*) from calls) + (select count(*) from tasks) + (select count(*) from refused) as rows

-- name: evidence
-- The evidence of assignments made before whose ticket, if any, has ended.
with gone as (
    update assignments
    set
        evidence = '{"expired": true}',
        evidence_sha256 = encode(sha256(convert_to('{"expired": true}', 'UTF8')), 'hex')
    where
        assignments.assigned_at < :before
        and not assignments.evidence ?| array['expired', 'erased']
        and not exists (
            select 1 from tickets
            where
                tickets.assignment_id = assignments.assignment_id
                and not is_finished(tickets.state)
        )
    returning 1
)

select count(*) as rows from gone

-- name: warnings
-- Warnings of cycles before the month, of fixed ones as well: by the owner's own procedure.
select retire_warnings(:month) as rows

-- name: decisions
-- Why somebody was not called, decided before.
with gone as (
    delete from dispatch_decisions
    where decided_at < :before
    returning 1
)

select count(*) as rows from gone

-- name: outreach
-- Who was listed for SMS or app, or why not, listed before.
with gone as (
    delete from outreach_items
    where listed_at < :before
    returning 1
)

select count(*) as rows from gone

-- name: notices
-- Notices written before, unless their ticket is still being worked, and the messages that told only such.
with old as (
    select notice_id from notices
    where
        created_at < :before
        and not exists (
            select 1 from tickets
            where
                tickets.ticket_id = notices.ticket_id
                and not is_finished(tickets.state)
        )
),

told as (
    select message_id from messages
    where
        created_at < :before and num_nonnulls(delivered_at, dead_at) > 0
        and not exists (
            select 1 from message_notices
            where
                message_notices.message_id = messages.message_id
                and message_notices.notice_id not in (select old.notice_id from old)
        )
),

links as (
    delete from message_notices
    where
        notice_id in (select old.notice_id from old)
        or message_id in (select told.message_id from told)
),

letters as (
    delete from messages
    where message_id in (select told.message_id from told)
    returning 1
),

gone as (
    delete from notices
    where notice_id in (select old.notice_id from old)
    returning 1
)

select (select count(*) from gone) + (select count(*) from letters) as rows

-- name: absences
-- Leave of staff, and why, that ended before, with the rosters of those days.
with leaves as (
    delete from absences
    where until_on < cast(cast(:before as timestamptz) at time zone 'Asia/Shanghai' as date)
    returning 1
),

rosters as (
    delete from shifts
    where day < cast(cast(:before as timestamptz) at time zone 'Asia/Shanghai' as date)
    returning 1
)

select (select count(*) from leaves) + (select count(*) from rosters) as rows

-- name: stage_runs
-- Figures of stages finished before; those of trainings tell which labels were learned from and stay.
with gone as (
    delete from stage_runs
    where finished_at < :before and stage <> 'training'
    returning 1
)

select count(*) as rows from gone

-- name: deliveries
-- Deliveries collected before that others have replaced, with their quarantine summary.
with gone as (
    delete from deliveries
    where not is_current and collected_at < :before
    returning 1
)

select count(*) as rows from gone

-- name: audit_log
-- Entries of the audit log from before: by the owner's own procedure.
select retire_audit(:before, :now) as rows

-- name: record
-- What went because its period had ended.
insert into retentions (what, before, rows, retired_at)
values (:what, :before, :rows, :now)
