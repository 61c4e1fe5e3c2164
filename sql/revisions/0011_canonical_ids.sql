-- One writing for one person: what is stored is brought to the canonical form, counts told.
set local role churn_owner;

-- ---------------------------------------------------------------- the canonical writing

create function canonical_id(raw text) returns text language plpgsql immutable strict parallel safe
set search_path = public, pg_temp as $$
declare
    -- the signs of include/domain/canonical.py
    invisible constant text :=
        '[\u0001-\u0020\u007f-\u00a0\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u115f-\u1160\u1680\u17b4-'
        || '\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff'
        || '\uffa0\ufff0-\ufffb\U000110bd\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]';
    plain text := raw;
    before text;
    wrapped text;
begin
    loop
        before := plain;
        plain := normalize(regexp_replace(plain, invisible, '', 'g'), nfkc);
        plain := regexp_replace(plain, invisible, '', 'g');
        plain := ltrim(plain, '''`‘’"“”');
        wrapped := substring(plain from '^=[+]?"(.*)"(?:\.0+|[''`‘’"“”])*$');
        -- the closing quote of a formula is its own, until the formula is unwrapped
        plain := coalesce(wrapped, case when plain like '=%' then plain else rtrim(plain, '''`‘’"“”') end);
        plain := regexp_replace(plain, '(\.0+)+$', '');
        exit when plain = before;
    end loop;
    return plain;
end
$$;
comment on function canonical_id is
'the one writing of an id: NFKC, nothing invisible, no spreadsheet wrapping, no trailing .0; case stays';
revoke execute on function canonical_id(text) from public;
grant execute on function canonical_id(text) to churn_loop, churn_desk;

-- ---------------------------------------------------------------- what collection tells

create table cleared_values (
    delivery_id bigint not null references deliveries on delete cascade,
    file text not null,
    column_name text not null,
    reason text not null,
    rows bigint not null check (rows > 0),
    first_line bigint,
    primary key (delivery_id, file, column_name, reason)
);
comment on table cleared_values is
'one row per delivery, file, column and reason: how many values were not taken although their rows were';
grant select, insert, delete on cleared_values to churn_loop;
grant select on cleared_values to churn_desk;

alter table deliveries add column ids bigint check (ids >= 0);
alter table deliveries add column ids_known bigint check (ids_known between 0 and ids);
comment on column deliveries.ids is 'how many people the delivery names';
comment on column deliveries.ids_known is 'how many of them occur in the profile of any month';

-- ---------------------------------------------------------------- what stands under other writings

create function written_otherwise() returns table (raw text, canonical text) language sql stable
set search_path = public, pg_temp as $$
    with named as (
        select subscriber_id as id from tickets
        union select customer_key from tickets
        union select subscriber_id from assignments
        union select customer_key from assignments
        union select subscriber_id from warnings
        union select customer_key from warnings
        union select subscriber_id from dispatch_decisions
        union select customer_key from dispatch_decisions
        union select subscriber_id from outreach_items
        union select customer_key from outreach_items
        union select subscriber_id from standing_limits
        union select customer_key from standing_limits
        union select subscriber_id from refusals
        union select customer_key from refusals
        union select subscriber_id from inbound_contacts
        union select customer_key from inbound_contacts
        union select subscriber_id from subscriber_arms
        union select customer_key from arms
    ),

    odd as (
        select id, canonical_id(id) as canonical
        from named where id !~ '^[0-9A-Za-z_][0-9A-Za-z_-]*$' and id !~ '^erased-'
    )

    select id, canonical
    from odd
    where
        canonical not in (id, '')
        and canonical !~ '^[+-]?([0-9]+\.[0-9]*[eE][+-]?|[0-9]+[eE][+-])[0-9]+$'
$$;
comment on function written_otherwise is 'the ids of people that stand in another writing than the canonical one, with that';
revoke execute on function written_otherwise() from public;

-- Two tickets that people work for one person become one; both stay in the history of the one that goes on.
create function merge_tickets_of_one_person(at timestamptz) returns bigint language plpgsql
set search_path = public, pg_temp as $$
declare
    merged bigint;
begin
    with named as (
        select
            t.ticket_id, t.campaign, t.state, coalesce(t.released_at, 'infinity') as since,
            coalesce(s.canonical, t.subscriber_id) as subscriber, coalesce(c.canonical, t.customer_key) as customer
        from tickets as t
        left join otherwise as s on t.subscriber_id = s.raw
        left join otherwise as c on t.customer_key = c.raw
        where
            t.state not in ('closed', 'cancelled', 'expired')
            and (
                t.subscriber_id in (select raw from otherwise union all select canonical from otherwise)
                or t.customer_key in (select raw from otherwise union all select canonical from otherwise)
            )
    ),

    -- by number and by customer apart: joined by either at once every ticket would be compared with every other
    pairs as (
        select n.ticket_id, n.state, kept.ticket_id as into_ticket, kept.since
        from named as n
        inner join named as kept on n.campaign = kept.campaign and n.subscriber = kept.subscriber
        where (kept.since, kept.ticket_id) < (n.since, n.ticket_id)
        union all
        select n.ticket_id, n.state, kept.ticket_id, kept.since
        from named as n
        inner join named as kept on n.campaign = kept.campaign and n.customer = kept.customer
        where (kept.since, kept.ticket_id) < (n.since, n.ticket_id)
    ),

    -- the one longest in somebody's hands goes on
    doubled as (
        select distinct on (p.ticket_id) p.ticket_id, p.state, p.into_ticket
        from pairs as p
        order by p.ticket_id, p.since, p.into_ticket
    ),

    ended as (
        update tickets as t
        set
            state = 'cancelled', version = t.version + 1, closed_at = at, paused_until = null,
            merged_into = d.into_ticket
        from doubled as d
        where t.ticket_id = d.ticket_id
        returning t.ticket_id, t.version, d.state as from_state, d.into_ticket
    ),

    stopped as (
        update ticket_clocks as c
        set
            voided_at = at,
            breached_at = case when c.due_at < at then c.due_at end,
            noticed_at = case when c.due_at < at then coalesce(c.noticed_at, at) end
        from ended as e
        where c.ticket_id = e.ticket_id and c.met_at is null and c.voided_at is null
    ),

    told as (
        insert into ticket_events (ticket_id, version, kind, from_state, to_state, actor, occurred_at, details)
        select ticket_id, version, 'merge', from_state, 'cancelled', 'loop', at, jsonb_build_object('into', into_ticket)
        from ended
    )

    select count(*) into merged from ended;
    return merged;
end
$$;
comment on function merge_tickets_of_one_person is
'ends all but one of the unfinished tickets that a campaign has for one person under several writings';

-- Under the canonical writing, unless the row would contradict another of the same person: that one stays as it is.
create function rename_people(in_table text, scope text []) returns bigint language plpgsql
set search_path = public, pg_temp as $$
declare
    same text := (select string_agg(format('other.%1$I = t.%1$I', name), ' and ') from unnest(scope) as name);
    renamed bigint;
begin
    execute format(
        'update %1$I as t set subscriber_id = o.canonical from otherwise as o
        where t.subscriber_id = o.raw and not exists (
            select 1 from %1$I as other
            left join otherwise as p on other.subscriber_id = p.raw
            where coalesce(p.canonical, other.subscriber_id) = o.canonical and %2$s
            and (p.raw is null or p.raw < o.raw)
        )', in_table, same);
    get diagnostics renamed = row_count;
    return renamed;
end
$$;
comment on function rename_people is 'brings subscriber_id of a table to the canonical writing, where its key allows it';

create function rename_arms() returns bigint language plpgsql set search_path = public, pg_temp as $$
declare
    apart bigint;
begin
    -- the arm drawn first stands for the person
    insert into arms (campaign, epoch, customer_key, arm, held_out_share, decided_at)
    select distinct on (a.campaign, a.epoch, o.canonical)
        a.campaign, a.epoch, o.canonical, a.arm, a.held_out_share, a.decided_at
    from arms as a
    inner join otherwise as o on a.customer_key = o.raw
    order by a.campaign, a.epoch, o.canonical, a.decided_at, a.customer_key
    on conflict do nothing;
    insert into subscriber_arms (campaign, epoch, subscriber_id, arm)
    select distinct on (s.campaign, s.epoch, o.canonical) s.campaign, s.epoch, o.canonical, s.arm
    from subscriber_arms as s
    inner join otherwise as o on s.subscriber_id = o.raw
    order by s.campaign, s.epoch, o.canonical, s.subscriber_id
    on conflict do nothing;
    update assignments as t set customer_key = o.canonical
    from otherwise as o
    where t.customer_key = o.raw and exists (
        select 1 from arms as a
        where (a.campaign, a.epoch, a.customer_key, a.arm) = (t.campaign, t.epoch, o.canonical, t.arm)
    );
    update assignments as t set subscriber_id = o.canonical
    from otherwise as o
    where
        t.subscriber_id = o.raw and exists (
            select 1 from subscriber_arms as a
            where (a.campaign, a.epoch, a.subscriber_id, a.arm) = (t.campaign, t.epoch, o.canonical, t.arm)
        )
        and not exists (
            select 1 from assignments as other
            left join otherwise as p on other.subscriber_id = p.raw
            where
                (other.campaign, other.cycle) = (t.campaign, t.cycle) and not other.is_recalled
                and coalesce(p.canonical, other.subscriber_id) = o.canonical
                and (p.raw is null or other.assignment_id < t.assignment_id)
        );
    delete from arms as a using otherwise as o
    where a.customer_key = o.raw and not exists (
        select 1 from assignments as t
        where (t.campaign, t.epoch, t.customer_key) = (a.campaign, a.epoch, a.customer_key)
    );
    delete from subscriber_arms as a using otherwise as o
    where a.subscriber_id = o.raw and not exists (
        select 1 from assignments as t
        where (t.campaign, t.epoch, t.subscriber_id) = (a.campaign, a.epoch, a.subscriber_id)
    );
    select count(*) into apart
    from assignments as t
    where exists (select 1 from otherwise as o where o.raw in (t.subscriber_id, t.customer_key));
    return apart;
end
$$;
comment on function rename_arms is
'brings arms and assignments to the canonical writing; how many stay apart, since one person was drawn into both arms';

-- Of equal limits and refusals one stays; none is lost. A refusal counts from the last time it was said.
create function rename_limits() returns bigint language plpgsql set search_path = public, pg_temp as $$
declare
    told bigint;
begin
    create temporary table limits_renamed on commit drop as
    select
        l.standing_limit_id, coalesce(s.canonical, l.subscriber_id) as subscriber_id,
        coalesce(c.canonical, l.customer_key) as customer_key,
        row_number() over (
            partition by coalesce(s.canonical, l.subscriber_id), l.month, l.kind, l.valid_from, l.valid_to
            -- the one that knows the customer, whose other numbers it holds for
            order by coalesce(c.canonical, l.customer_key) = coalesce(s.canonical, l.subscriber_id), l.standing_limit_id
        ) as nth
    from standing_limits as l
    left join otherwise as s on l.subscriber_id = s.raw
    left join otherwise as c on l.customer_key = c.raw;
    delete from standing_limits as l using limits_renamed as r
    where l.standing_limit_id = r.standing_limit_id and r.nth > 1;
    update standing_limits as l set subscriber_id = r.subscriber_id, customer_key = r.customer_key
    from limits_renamed as r
    where
        l.standing_limit_id = r.standing_limit_id
        and (l.subscriber_id, l.customer_key) <> (r.subscriber_id, r.customer_key);
    get diagnostics told = row_count;
    return told;
end
$$;
comment on function rename_limits is 'brings the limits of the feed to the canonical writing';

create function rename_refusals() returns bigint language plpgsql set search_path = public, pg_temp as $$
declare
    told bigint;
begin
    create temporary table refusals_renamed on commit drop as
    select
        r.refusal_id, coalesce(s.canonical, r.subscriber_id) as subscriber_id,
        coalesce(c.canonical, r.customer_key) as customer_key,
        row_number() over (
            partition by coalesce(s.canonical, r.subscriber_id), coalesce(c.canonical, r.customer_key)
            order by r.refused_at desc, r.refusal_id
        ) as nth
    from refusals as r
    left join otherwise as s on r.subscriber_id = s.raw
    left join otherwise as c on r.customer_key = c.raw;
    delete from refusals as r using refusals_renamed as n where r.refusal_id = n.refusal_id and n.nth > 1;
    update refusals as r set subscriber_id = n.subscriber_id, customer_key = n.customer_key
    from refusals_renamed as n
    where r.refusal_id = n.refusal_id and (r.subscriber_id, r.customer_key) <> (n.subscriber_id, n.customer_key);
    get diagnostics told = row_count;
    return told;
end
$$;
comment on function rename_refusals is 'brings the refusals people told the desk to the canonical writing';

create function dial_as_written() returns table (mended bigint, gone bigint) language plpgsql
set search_path = public, pg_temp as $$
declare
    china constant text :=
        '^(?:\+?86|0086)?(?:0?(1[3-9][0-9]{9})|(0(?:10|2[0-9])[0-9]{8}|0[3-9][0-9]{2}[0-9]{7,8}))$';
begin
    create temporary table dialled on commit drop as
    select ticket_id, regexp_replace(canonical_id(msisdn), '[-‐‑‒–—()]', '', 'g') as plain
    from ticket_phones
    where msisdn !~ '^1[3-9][0-9]{9}$';
    delete from ticket_phones as t using dialled as d
    where
        t.ticket_id = d.ticket_id and d.plain !~ china and d.plain !~ '^[48]00[0-9]{7}$'
        and d.plain !~ '^\+(?!86)[1-9][0-9]{6,14}$';
    get diagnostics gone = row_count;
    update ticket_phones as t
    set msisdn = case
        when d.plain ~ china then coalesce((regexp_match(d.plain, china))[1], (regexp_match(d.plain, china))[2])
        else d.plain
    end
    from dialled as d
    where t.ticket_id = d.ticket_id;
    get diagnostics mended = row_count;
    return next;
end
$$;
comment on function dial_as_written is 'brings the numbers of tickets to the form they are dialled in; one that is none goes';

-- The upgrade of a database that stands does this once; the counts are told and kept in the audit log.
do $$
declare
    told jsonb := '{}';
    place record;
begin
    perform set_config('app.reducing', 'on', true);
    create temporary table otherwise on commit drop as select raw, canonical from written_otherwise();
    create unique index on otherwise (raw);
    analyze otherwise;
    if exists (select 1 from otherwise) then
        told := jsonb_build_object(
            'ids', (select count(*) from otherwise), 'tickets_merged', merge_tickets_of_one_person(now())
        );
        for place in select * from (values
            ('tickets', '{campaign,cycle}'::text []), ('warnings', '{campaign,cycle,revision}'),
            ('dispatch_decisions', '{campaign,cycle}'), ('outreach_items', '{campaign,cycle}')
        ) as known (in_table, scope) loop
            told := told || jsonb_build_object(place.in_table, rename_people(place.in_table, place.scope));
        end loop;
        update inbound_contacts as t set subscriber_id = o.canonical from otherwise as o where t.subscriber_id = o.raw;
        for place in select unnest(array['tickets', 'warnings', 'dispatch_decisions', 'inbound_contacts']) as in_table loop
            execute format(
                'update %I as t set customer_key = o.canonical from otherwise as o where t.customer_key = o.raw',
                place.in_table
            );
        end loop;
        update outreach_items as t set customer_key = o.canonical from otherwise as o
        where t.customer_key = o.raw and not exists (
            select 1 from outreach_items as other
            left join otherwise as p on other.customer_key = p.raw
            where (other.campaign, other.cycle) = (t.campaign, t.cycle)
            and coalesce(p.canonical, other.customer_key) = o.canonical and (p.raw is null or p.raw < o.raw)
        );
        told := told || jsonb_build_object(
            'assignments_apart', rename_arms(), 'standing_limits', rename_limits(), 'refusals', rename_refusals()
        );
    end if;
    for place in select * from dial_as_written() loop
        told := told || jsonb_build_object('numbers_mended', place.mended, 'numbers_gone', place.gone);
    end loop;
    perform set_config('app.reducing', '', true);
    if exists (select 1 from jsonb_each_text(told) as each where each.value <> '0') then
        insert into audit_log (happened_at, actor, action, subject, details)
        values (now(), 'upgrade', 'ids_made_canonical', 'database', told);
        raise notice 'Ids brought to one writing: %', told;
    end if;
end
$$;

-- what served once
drop function dial_as_written, rename_refusals, rename_limits, rename_arms, rename_people, merge_tickets_of_one_person,
written_otherwise;

reset role;
