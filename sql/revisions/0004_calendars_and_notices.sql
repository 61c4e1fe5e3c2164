-- Calendar layers, service levels, delivery of notices.
set local role churn_owner;

-- ---------------------------------------------------------------- calendar

create table work_day_drafts (
    layer text not null,
    date date not null,
    is_working boolean,
    name text,
    source text not null check (source <> 'provisional'),
    drafted_by text not null,
    drafted_at timestamptz not null,
    primary key (layer, date)
);
comment on table work_day_drafts is
'one row per day of a layer that is to be changed, until the change is applied; a null is_working takes the day away';

-- ---------------------------------------------------------------- escalation

-- A tick reads what has become due, not every breach that is still open.
alter table ticket_clocks add column escalate_at timestamptz;
update ticket_clocks set escalate_at = breached_at
where breached_at is not null and escalated_to is distinct from 'branch_manager';
drop index ticket_clocks_to_escalate;
create index ticket_clocks_to_escalate on ticket_clocks (escalate_at)
where met_at is null and voided_at is null and escalate_at is not null;

-- nor what is breached without a warning and will never have one
drop index ticket_clocks_to_warn;
create index ticket_clocks_to_warn on ticket_clocks (warn_at)
where met_at is null and voided_at is null and warned_at is null and breached_at is null;

-- ---------------------------------------------------------------- notices and their delivery

alter table staff add column email text
constraint staff_email_is_one_address check (email ~ '^[^\s\x01-\x1f@,;:<>()\[\]\\"]+@[^\s\x01-\x1f@,;:<>()\[\]\\"]+$');

alter table notices add column gathered_at timestamptz;
-- nothing was sent until now: the first digests are not to page people about what happened months ago
update notices set gathered_at = now();
create index notices_to_gather on notices (created_at) where gathered_at is null;
drop index notices_to_deliver;
alter table notices drop column delivered_at;

create table messages (
    message_id bigint generated always as identity primary key,
    dedupe_key text not null unique,
    channel text not null check (channel in ('staff', 'operations')),
    staff_id bigint references staff,
    address text,
    severity text not null check (severity in ('page', 'morning_mail')),
    subject text not null,
    body text not null,
    notices integer not null check (notices > 0),
    created_at timestamptz not null,
    next_attempt_at timestamptz not null,
    attempts integer not null default 0,
    leased_until timestamptz,
    delivered_at timestamptz,
    dead_at timestamptz,
    error text,
    check ((channel = 'staff') = (staff_id is not null)),
    check (delivered_at is null or dead_at is null),
    -- whatever an author of a text forgets, no mobile number leaves the house
    check (subject || ' ' || body !~ '(^|[^0-9])((00)?86)?1[3-9][0-9]{9}($|[^0-9])')
);
create index messages_to_send on messages (next_attempt_at) where delivered_at is null and dead_at is null;
create index messages_by_person on messages (staff_id, created_at);
create index messages_dead on messages (dead_at) where dead_at is not null;
comment on table messages is
'one row per digest on its way to one person or to operations, with what its delivery has come to';

create table message_notices (
    message_id bigint not null references messages,
    notice_id bigint not null references notices,
    primary key (notice_id, message_id)
);
create index message_notices_by_message on message_notices (message_id);
comment on table message_notices is 'one row per notice and the digest that tells it';

grant select, insert, update, delete on work_day_drafts, messages, message_notices to churn_loop;

reset role;
