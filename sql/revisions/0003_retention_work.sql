-- What retention work records: contact ladder, processing, outcomes, do-not-call, linked tasks.
set local role churn_owner;

-- ---------------------------------------------------------------- contacts and surveys

-- a call-back is promised for an instant; its day stays readable under its old name
alter table contact_attempts add call_back_at timestamptz;
-- one promised for the same day stays ahead of its attempt: the check below also judges every later change of a row
update contact_attempts set call_back_at = greatest(
    (call_back_on + time '09:00') at time zone 'Asia/Shanghai', attempted_at + interval '1 minute'
)
where call_back_on is not null;
alter table contact_attempts drop call_back_on;
alter table contact_attempts
add call_back_on date generated always as (cast(call_back_at at time zone 'Asia/Shanghai' as date)) stored,
add constraint contact_attempts_call_back check ((result = 'call_back') = (call_back_at is not null)),
add constraint contact_attempts_call_back_lies_ahead check (call_back_at > attempted_at);

alter table needs_surveys add constraint needs_surveys_other_has_words
check (not ('other' = any(needs)) or btrim(coalesce(note, '')) <> '') not valid;

-- ---------------------------------------------------------------- endings

alter table tickets
add outcome_detail text,
add satisfaction smallint check (satisfaction between 0 and 10),
add merged_into bigint references tickets,
add constraint tickets_detail_of_outcome check (outcome_detail is null or outcome is not null),
add constraint tickets_merged_are_over check (merged_into is null or (state = 'cancelled' and merged_into <> ticket_id));
create index tickets_merged on tickets (merged_into) where merged_into is not null;
create index tickets_by_customer on tickets (customer_key);

-- ---------------------------------------------------------------- who calls in, who refuses, what others owe

create table inbound_contacts (
    inbound_id bigint generated always as identity primary key,
    campaign text not null,
    subscriber_id text not null,
    customer_key text not null,
    assignment_id bigint references assignments,
    recorded_at timestamptz not null,
    staff_id bigint not null references staff,
    channel text not null check (channel in ('call', 'app', 'visit')),
    needs text [] not null,
    said text not null check (btrim(said) <> ''),
    done text not null check (btrim(done) <> ''),
    is_refusal boolean not null default false
);
create index inbound_contacts_by_assignment on inbound_contacts (assignment_id);
create index inbound_contacts_by_staff on inbound_contacts (staff_id);
comment on table inbound_contacts is
'one row per talk a subscriber without a released ticket began; it hangs on the newest assignment of either arm, if any';

create table refusals (
    refusal_id bigint generated always as identity primary key,
    customer_key text not null,
    subscriber_id text not null,
    refused_at timestamptz not null,
    staff_id bigint not null references staff,
    ticket_id bigint references tickets,
    inbound_id bigint references inbound_contacts,
    words text not null check (btrim(words) <> ''),
    unique (customer_key, subscriber_id)
);
create index refusals_by_subscriber on refusals (subscriber_id);
comment on table refusals is 'one row per customer and number that wants no calls, in any campaign, for good';

create or replace function standing_limit(whose text, customer text, on_day date) returns text language sql stable
return (
    select stands.kind
    from (
        select kind from standing_limits
        where
            (subscriber_id = whose or customer_key = customer)
            and valid_from <= on_day and (valid_to is null or valid_to >= on_day or kind = 'refused')
        union all
        select 'refused' from refusals
        where subscriber_id = whose or customer_key = customer
    ) as stands
    order by array_position(array['refused', 'red_list', 'do_not_disturb', 'contacted_elsewhere'], stands.kind)
    limit 1
);
comment on function standing_limit is
'the gravest limit of contact that stands on a day for a number or any number of its customer; a refusal never ends';

create table linked_tasks (
    task_id bigint generated always as identity primary key,
    ticket_id bigint references tickets,
    inbound_id bigint references inbound_contacts,
    unit text not null,
    words text not null check (btrim(words) <> ''),
    opened_at timestamptz not null,
    opened_by bigint not null references staff,
    due_at timestamptz not null,
    is_provisional boolean not null,
    overdue_noticed_at timestamptz,
    done_at timestamptz,
    done_by bigint references staff,
    result text,
    check (num_nonnulls(ticket_id, inbound_id) = 1),
    check (due_at > opened_at),
    check (overdue_noticed_at >= due_at),
    check (num_nonnulls(done_at, result) in (0, 2) and (done_by is null or done_at is not null))
);
create index linked_tasks_by_ticket on linked_tasks (ticket_id);
create index linked_tasks_by_inbound on linked_tasks (inbound_id) where inbound_id is not null;
create index linked_tasks_open on linked_tasks (due_at) where done_at is null;
comment on table linked_tasks is
'one row per problem charged to another unit, with its own deadline; it outlives the ticket it came from';

grant select, insert, update, delete on inbound_contacts, refusals, linked_tasks to churn_loop;

-- ---------------------------------------------------------------- the desk's part

grant update (outcome_detail, satisfaction, merged_into) on tickets to churn_desk;
grant select, insert on linked_tasks to churn_desk;
grant update (done_at, done_by, result) on linked_tasks to churn_desk;
grant select on refusals to churn_desk;
-- not assignment_id: whether somebody is held out is nobody's business at the desk
grant select (
    inbound_id, campaign, subscriber_id, recorded_at, staff_id, channel, needs, said, done, is_refusal
) on inbound_contacts to churn_desk;

do $$
declare
    walled text;
begin
    foreach walled in array array['inbound_contacts', 'refusals', 'linked_tasks'] loop
        execute format('alter table %I enable row level security', walled);
        execute format('alter table %I force row level security', walled);
        execute format('create policy loop_works on %I to churn_loop, churn_owner using (true) with check (true)', walled);
    end loop;
end
$$;
-- who took the call sees it, the lead that of the team, a manager all
create policy desk_reads on inbound_contacts for select to churn_desk
using (exists (
    select 1 from staff as author
    where author.staff_id = inbound_contacts.staff_id and desk_sees(author.team, author.staff_id)
));
create policy desk_reads on refusals for select to churn_desk
using (exists (
    select 1 from tickets
    where tickets.customer_key = refusals.customer_key or tickets.subscriber_id = refusals.subscriber_id
));
create policy desk_works on linked_tasks to churn_desk
using (
    exists (select 1 from tickets where tickets.ticket_id = linked_tasks.ticket_id)
    or exists (select 1 from inbound_contacts where inbound_contacts.inbound_id = linked_tasks.inbound_id)
)
with check (
    exists (select 1 from tickets where tickets.ticket_id = linked_tasks.ticket_id)
    or exists (select 1 from inbound_contacts where inbound_contacts.inbound_id = linked_tasks.inbound_id)
);

-- A customer's tickets may lie behind the walls of other teams: these functions reach them, and do no more than said.

create function lock_tickets_of_customer(of_ticket bigint) returns bigint
language sql security definer set search_path = public, pg_temp
begin atomic
    with locked as (
        select other.ticket_id
        from tickets as one
        inner join tickets as other on one.customer_key = other.customer_key or one.subscriber_id = other.subscriber_id
        where
            one.ticket_id = of_ticket and desk_sees(one.team, one.assignee_id)
            and other.state not in ('closed', 'cancelled', 'expired')
        order by other.ticket_id
        for no key update of other
    )

    select count(*) from locked;
end;
comment on function lock_tickets_of_customer is
'locks every unfinished ticket of the customer by number, so that nobody waits in a ring; says how many there are';

create function stop_customer(of_ticket bigint, of_inbound bigint, stopped_at timestamptz, said text) returns bigint []
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    me staff;
    customer text;
    number text;
    stopped bigint [];
begin
    select * into me from staff where staff_id = desk_staff_id() and is_active;
    select t.customer_key, t.subscriber_id into customer, number
    from tickets as t where t.ticket_id = of_ticket and desk_sees(t.team, t.assignee_id);
    if of_inbound is not null then
        select i.customer_key, i.subscriber_id into customer, number
        from inbound_contacts as i where i.inbound_id = of_inbound and i.staff_id = me.staff_id;
    end if;
    if me.staff_id is null or customer is null then
        raise exception 'Nobody stops the calls to a customer they do not work with.'
            using errcode = 'insufficient_privilege';
    end if;
    insert into refusals (customer_key, subscriber_id, refused_at, staff_id, ticket_id, inbound_id, words)
    values (customer, number, stopped_at, me.staff_id, of_ticket, of_inbound, said)
    on conflict (customer_key, subscriber_id) do nothing;
    with unfinished as (
        select t.ticket_id, t.state, t.assignee_id from tickets as t
        where
            (t.customer_key = customer or t.subscriber_id = number) and t.ticket_id is distinct from of_ticket
            and t.state not in ('closed', 'cancelled', 'expired')
        order by t.ticket_id
        for no key update
    ),
    changed as (
        update tickets as t
        set state = 'cancelled', version = t.version + 1, paused_until = null, closed_at = stopped_at
        from unfinished as u
        where t.ticket_id = u.ticket_id
        returning t.ticket_id, t.version, u.state as from_state, u.assignee_id
    ),
    noticed as (
        insert into notices (dedupe_key, kind, audience, staff_id, ticket_id, details, created_at)
        select
            format('cancelled/%s/%s', c.ticket_id, c.version), 'ticket_cancelled',
            case when c.assignee_id is null then 'lead' else 'assignee' end,
            c.assignee_id, c.ticket_id, jsonb_build_object('reason', 'refused'), stopped_at
        from changed as c
        where c.from_state <> 'waiting' and c.assignee_id is distinct from me.staff_id
        on conflict (dedupe_key) do nothing
    ),
    told as (
        insert into ticket_events (
            ticket_id, version, kind, from_state, to_state, staff_id, actor, occurred_at, details
        )
        select
            c.ticket_id, c.version, 'do_not_call', c.from_state, 'cancelled', me.staff_id, me.staff_code, stopped_at,
            jsonb_strip_nulls(jsonb_build_object('said_on_ticket', of_ticket, 'said_inbound', of_inbound))
        from changed as c
    ),
    voided as (
        update ticket_clocks as k
        set
            voided_at = stopped_at,
            breached_at = case when k.due_at < stopped_at then k.due_at end,
            noticed_at = case when k.due_at < stopped_at then coalesce(k.noticed_at, stopped_at) end
        from changed as c
        where k.ticket_id = c.ticket_id and k.met_at is null and k.voided_at is null
    )
    select coalesce(array_agg(c.ticket_id order by c.ticket_id), '{}') into stopped from changed as c;
    return stopped;
end
$$;
comment on function stop_customer is
'a standing refusal, and every other unfinished ticket of the customer cancelled with its event; gives their numbers';

create function record_inbound(
    of_campaign text, number text, told_at timestamptz, by_channel text, wanted text [], what_said text, what_done text,
    refuses boolean
) returns table (inbound_id bigint, ticket_id bigint, team text)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if not exists (select 1 from staff as s where s.staff_id = desk_staff_id() and s.is_active) then
        raise exception 'Nobody said who works in this transaction.' using errcode = 'insufficient_privilege';
    end if;
    return query
    select null::bigint, t.ticket_id, t.team
    from tickets as t
    where
        t.campaign = of_campaign and t.subscriber_id = number
        and t.state in ('assigned', 'in_progress', 'paused');
    if found then
        return;
    end if;
    return query
    with newest as (
        select a.assignment_id, a.customer_key
        from assignments as a
        where a.campaign = of_campaign and a.subscriber_id = number and not a.is_recalled and a.assigned_at <= told_at
        order by a.assigned_at desc, a.assignment_id desc
        limit 1
    )
    insert into inbound_contacts as i (
        campaign, subscriber_id, customer_key, assignment_id, recorded_at, staff_id, channel, needs, said, done, is_refusal
    )
    values (
        of_campaign, number, coalesce((select n.customer_key from newest as n), number),
        (select n.assignment_id from newest as n), told_at, desk_staff_id(), by_channel, wanted, what_said, what_done,
        refuses
    )
    returning i.inbound_id, null::bigint, null::text;
end
$$;
comment on function record_inbound is
'stores who called in, whichever arm they are in, or tells the released ticket on which the talk belongs';

revoke execute on function lock_tickets_of_customer, stop_customer, record_inbound from public;
grant execute on function lock_tickets_of_customer, stop_customer, record_inbound to churn_desk, churn_loop;

reset role;
