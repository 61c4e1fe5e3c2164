-- A form sent twice is done once; refusals taken over the telephone are limited and told.
set local role churn_owner;

-- ---------------------------------------------------------------- once

-- what a write led to is no longer a ticket's version alone: a talk has a number, the next ticket too, a list results
alter table idempotency_keys add answer jsonb;
update idempotency_keys set answer = to_jsonb(version);
alter table idempotency_keys alter answer set not null;
alter table idempotency_keys drop ticket_id, drop version;
grant update (request_sha256, answer, recorded_at) on idempotency_keys to churn_desk;
comment on table idempotency_keys is
'one row per write a form or program sent under a key: what was asked (as a hash) and what it led to; kept seven days';

create function phone_of_use(of_use bigint, at timestamptz, shown interval) returns text
language sql stable security definer set search_path = public, pg_temp
begin atomic
    select p.msisdn
    from desk_uses as u
    inner join tickets as t on u.ticket_id = t.ticket_id
    inner join ticket_phones as p on t.ticket_id = p.ticket_id
    where
        u.use_id = of_use and u.staff_id = desk_staff_id() and u.used_at >= at - shown
        and t.state in ('assigned', 'in_progress', 'paused') and t.frozen_at is null
        and desk_sees(t.team, t.assignee_id)
        and standing_limit(t.subscriber_id, t.customer_key, cast(at at time zone 'Asia/Shanghai' as date)) is null;
end;
comment on function phone_of_use is
'the number a use of the person who works was recorded for not long ago: shown again it is no second use';

-- ---------------------------------------------------------------- whose id was typed

create index warnings_by_any_case on warnings (lower(subscriber_id));
create index assignments_by_any_case on assignments (lower(subscriber_id));
create index outreach_items_by_any_case on outreach_items (lower(subscriber_id));
create index standing_limits_by_any_case on standing_limits (lower(subscriber_id));
create index refusals_by_any_case on refusals (lower(subscriber_id));
create index inbound_contacts_by_any_case on inbound_contacts (lower(subscriber_id));

create function known_subscriber(typed text) returns table (subscriber_id text, alike bigint)
language sql stable security definer set search_path = public, pg_temp
begin atomic
    with known as (
        select w.subscriber_id from warnings as w where lower(w.subscriber_id) = lower(typed)
        union
        select a.subscriber_id from assignments as a where lower(a.subscriber_id) = lower(typed)
        union
        select o.subscriber_id from outreach_items as o where lower(o.subscriber_id) = lower(typed)
        union
        select l.subscriber_id from standing_limits as l where lower(l.subscriber_id) = lower(typed)
        union
        select r.subscriber_id from refusals as r where lower(r.subscriber_id) = lower(typed)
        union
        select i.subscriber_id from inbound_contacts as i where lower(i.subscriber_id) = lower(typed)
    )

    select
        case
            when bool_or(k.subscriber_id = typed) then typed
            when count(*) = 1 then min(k.subscriber_id)
        end,
        count(*)
    from known as k;
end;
comment on function known_subscriber is
'the id as it is known that was typed, exactly or else but for its case; null when nobody or more than one (how many) has it';

-- ---------------------------------------------------------------- refusals

alter table desk_uses drop constraint desk_uses_kind_check;
alter table desk_uses add constraint desk_uses_kind_check
check (kind in ('reveal', 'call', 'search', 'export', 'refusal'));
comment on table desk_uses is
'one row per number revealed or called, search by number, export, and refusal that ended tickets of other teams; append-only';

create function end_tickets_of_customer(
    customer text, number text, apart_from bigint, of_team text, ended_at timestamptz, because jsonb
) returns bigint [] language plpgsql set search_path = public, pg_temp as $$
declare
    me staff;
    ended bigint [];
begin
    select * into me from staff where staff_id = desk_staff_id();
    with unfinished as (
        select t.ticket_id, t.state from tickets as t
        where
            (t.customer_key = customer or t.subscriber_id = number) and t.ticket_id is distinct from apart_from
            and (of_team is null or t.team = of_team) and t.state not in ('closed', 'cancelled', 'expired')
        order by t.ticket_id
        for no key update
    ),
    changed as (
        update tickets as t
        set state = 'cancelled', version = t.version + 1, paused_until = null, closed_at = ended_at
        from unfinished as u
        where t.ticket_id = u.ticket_id
        returning t.ticket_id, t.version, u.state as from_state, t.assignee_id, t.team
    ),
    noticed as (
        insert into notices (dedupe_key, kind, audience, staff_id, ticket_id, details, created_at)
        select
            format('cancelled/%s/%s', c.ticket_id, c.version), 'ticket_cancelled', 'assignee', c.assignee_id, c.ticket_id,
            jsonb_build_object('reason', 'refused'), ended_at
        from changed as c
        where c.assignee_id <> me.staff_id
        on conflict (dedupe_key) do nothing
    ),
    led as (
        insert into notices (dedupe_key, kind, audience, ticket_id, details, created_at)
        select
            format('ended_by_refusal/%s/%s', c.ticket_id, c.version), 'ended_by_refusal', 'lead', c.ticket_id,
            jsonb_build_object('person', me.name), ended_at
        from changed as c
        where me.role <> 'lead' or me.team <> c.team
        on conflict (dedupe_key) do nothing
    ),
    told as (
        insert into ticket_events (
            ticket_id, version, kind, from_state, to_state, staff_id, actor, occurred_at, details
        )
        select
            c.ticket_id, c.version, 'do_not_call', c.from_state, 'cancelled', me.staff_id, me.staff_code, ended_at,
            because
        from changed as c
    ),
    voided as (
        update ticket_clocks as k
        set
            voided_at = ended_at,
            breached_at = case when k.due_at < ended_at then k.due_at end,
            noticed_at = case when k.due_at < ended_at then coalesce(k.noticed_at, ended_at) end
        from changed as c
        where k.ticket_id = c.ticket_id and k.met_at is null and k.voided_at is null
    )
    select coalesce(array_agg(c.ticket_id order by c.ticket_id), '{}') into ended from changed as c;
    return ended;
end
$$;
comment on function end_tickets_of_customer is
'cancels the unfinished tickets of a customer (but one; of one team alone) for a refusal, who works and who leads told';

-- Said again it is one refusal still, and counts from the last time: the first may have been a former holder's.
create function keep_refusal(
    customer text, number text, told_at timestamptz, of_ticket bigint, of_inbound bigint, said text, waits boolean
) returns void language sql set search_path = public, pg_temp
begin atomic
    insert into refusals as r (
        customer_key, subscriber_id, refused_at, staff_id, ticket_id, inbound_id, words, awaits_lead
    )
    values (customer, number, told_at, desk_staff_id(), of_ticket, of_inbound, said, waits)
    on conflict (customer_key, subscriber_id) do update set
        refused_at = greatest(r.refused_at, excluded.refused_at), staff_id = excluded.staff_id,
        ticket_id = excluded.ticket_id, inbound_id = excluded.inbound_id, words = excluded.words,
        awaits_lead = excluded.awaits_lead;
end;
comment on function keep_refusal is 'a customer and number want no calls, for good; said again, who heard it last and when';

drop function stop_customer(bigint, bigint, timestamptz, text);
create function stop_customer(of_ticket bigint, stopped_at timestamptz, said text) returns bigint []
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    one tickets;
begin
    select t.* into one from tickets as t where t.ticket_id = of_ticket and desk_sees(t.team, t.assignee_id);
    if not found then
        raise exception 'Nobody stops the calls to a customer they do not work with.'
            using errcode = 'insufficient_privilege';
    end if;
    -- who works with the customer leaves nothing to ask a lead about
    perform keep_refusal(one.customer_key, one.subscriber_id, stopped_at, of_ticket, null, said, false);
    return end_tickets_of_customer(
        one.customer_key, one.subscriber_id, of_ticket, null, stopped_at, jsonb_build_object('said_on_ticket', of_ticket)
    );
end
$$;
comment on function stop_customer is
'a standing refusal, and every other unfinished ticket of the customer cancelled with its event; gives their numbers';

create function hear_refusal(
    of_inbound bigint, of_campaign text, of_number text, heard_at timestamptz, said text, at_most integer
) returns table (ended bigint [], waiting bigint [])
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    me staff;
    of_ticket bigint;
    customer text;
    number text;
    stands refusals;
    waits boolean := false;
    others tickets [];
begin
    select * into me from staff where staff_id = desk_staff_id() and is_active;
    if of_inbound is null then -- the talk belongs on the released ticket, as record_inbound told
        select t.ticket_id, t.customer_key, t.subscriber_id into of_ticket, customer, number
        from tickets as t
        where
            t.campaign = of_campaign and t.subscriber_id = of_number
            and t.state in ('assigned', 'in_progress', 'paused');
    else
        select i.customer_key, i.subscriber_id into customer, number
        from inbound_contacts as i where i.inbound_id = of_inbound and i.staff_id = me.staff_id;
    end if;
    if me.staff_id is null or customer is null then
        raise exception 'Nobody hears a refusal of a customer they did not talk to.'
            using errcode = 'insufficient_privilege';
    end if;
    -- by number and before the refusal, as everybody does: nobody waits in a ring
    perform 1 from tickets as t
    where (t.customer_key = customer or t.subscriber_id = number) and t.state not in ('closed', 'cancelled', 'expired')
    order by t.ticket_id
    for no key update;
    others := array(
        select t from tickets as t
        where
            (t.customer_key = customer or t.subscriber_id = number) and t.team <> me.team
            and t.ticket_id is distinct from of_ticket and t.state not in ('closed', 'cancelled', 'expired')
        order by t.ticket_id
    );
    -- one that a former holder said is none of this customer's
    select r.* into stands from refusals as r
    where
        r.customer_key = customer and r.subscriber_id = number and not exists (
            select 1 from new_holders as n
            where n.subscriber_id = number and cast(r.refused_at at time zone 'Asia/Shanghai' as date) <= n.left_on
        );
    -- what waits goes on waiting when the same person says it again; somebody else who hears it counts on their own
    if stands.awaits_lead and stands.staff_id = me.staff_id then
        waits := true;
    elsif (stands.refusal_id is null or stands.awaits_lead) and cardinality(others) > 0 then
        waits := not record_use('refusal', null, heard_at, at_most);
    end if;
    perform keep_refusal(customer, number, heard_at, of_ticket, of_inbound, said, waits);
    ended := end_tickets_of_customer(
        customer, number, of_ticket, case when waits then me.team end, heard_at,
        jsonb_strip_nulls(jsonb_build_object('said_inbound', of_inbound, 'said_of_ticket', of_ticket))
    );
    waiting := array(select o.ticket_id from unnest(others) as o where waits);
    insert into notices (dedupe_key, kind, audience, ticket_id, details, created_at)
    select
        format('refusal_waits/%s/%s', o.ticket_id, o.version), 'refusal_waits', 'lead', o.ticket_id,
        jsonb_build_object('person', me.name), heard_at
    from unnest(others) as o
    where waits
    on conflict (dedupe_key) do nothing;
    insert into notices (dedupe_key, kind, audience, staff_id, ticket_id, details, created_at)
    select
        format('refusal_heard/%s/%s', t.ticket_id, t.version), 'refusal_heard',
        case when t.assignee_id is null then 'lead' else 'assignee' end, t.assignee_id, t.ticket_id,
        jsonb_build_object('person', me.name), heard_at
    from tickets as t
    where t.ticket_id = of_ticket and t.assignee_id is distinct from me.staff_id
    on conflict (dedupe_key) do nothing;
    insert into audit_log (happened_at, actor, action, subject, details)
    values (
        heard_at, me.staff_code, 'inbound_refusal',
        case when of_inbound is null then format('ticket %s', of_ticket) else format('talk %s', of_inbound) end,
        jsonb_build_object('ended', ended, 'waiting', waiting)
    );
    return next;
end
$$;
comment on function hear_refusal is
'a refusal told in a talk bars at once; the customer''s tickets end, those of other teams beyond at_most a day when their lead confirms';

create function decide_refusal(of_refusal bigint, is_confirmed boolean, decided_at timestamptz) returns bigint []
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    me staff;
    one refusals;
    theirs bigint [];
    ended bigint [] := '{}';
begin
    select * into me from staff where staff_id = desk_staff_id() and is_active and role in ('lead', 'manager');
    select * into one from refusals where refusal_id = of_refusal;
    theirs := array(
        select t.ticket_id from tickets as t
        where
            (t.customer_key = one.customer_key or t.subscriber_id = one.subscriber_id)
            and t.state not in ('closed', 'cancelled', 'expired')
        order by t.ticket_id
        for no key update
    );
    select * into one from refusals where refusal_id = of_refusal and awaits_lead for update;
    -- not by who heard it, and only where the lead sees a ticket it would end; what two people heard is no mistake
    if
        me.staff_id is null or one.staff_id is null or one.staff_id = me.staff_id
        or not exists (
            select 1 from tickets as t where t.ticket_id = any(theirs) and desk_sees(t.team, t.assignee_id)
        )
        or (
            not is_confirmed and exists (
                select 1 from inbound_contacts as i
                where
                    i.is_refusal and i.staff_id <> one.staff_id
                    and (i.subscriber_id = one.subscriber_id or i.customer_key = one.customer_key)
            )
        )
    then
        return null;
    end if;
    if is_confirmed then
        update refusals set awaits_lead = false where refusal_id = of_refusal;
        ended := end_tickets_of_customer(
            one.customer_key, one.subscriber_id, null, null, decided_at,
            jsonb_strip_nulls(jsonb_build_object('said_inbound', one.inbound_id, 'confirmed_refusal', of_refusal))
        );
    else
        delete from refusals where refusal_id = of_refusal;
        -- said again in the same words it is heard again
        delete from idempotency_keys
        where staff_id = one.staff_id and recorded_at >= decided_at - interval '10 minutes';
    end if;
    insert into audit_log (happened_at, actor, action, subject, details)
    values (
        decided_at, me.staff_code, case when is_confirmed then 'refusal_confirmed' else 'refusal_withdrawn' end,
        format('refusal %s', of_refusal),
        jsonb_build_object(
            'heard_by', (select s.staff_code from staff as s where s.staff_id = one.staff_id),
            'subscriber', one.subscriber_id, 'talk', one.inbound_id, 'tickets', theirs, 'ended', ended
        )
    );
    return theirs;
end
$$;
comment on function decide_refusal is
'a lead of one of the tickets confirms a refusal that waits, which ends them, or withdraws it; gives them, null when it may not be';

revoke execute on function
phone_of_use, known_subscriber, end_tickets_of_customer, keep_refusal, stop_customer, hear_refusal, decide_refusal
from public;
grant execute on function phone_of_use, decide_refusal to churn_desk;
grant execute on function known_subscriber, stop_customer, hear_refusal to churn_desk, churn_loop;

reset role;
