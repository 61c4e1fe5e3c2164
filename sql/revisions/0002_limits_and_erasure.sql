-- Standing contact limits, the frozen, approved gaps, retention periods and erasure.
set local role churn_owner;

-- ---------------------------------------------------------------- standing limits, the frozen, approved gaps

create table standing_limits (
    standing_limit_id bigint generated always as identity primary key,
    subscriber_id text not null,
    customer_key text not null,
    kind text not null check (kind in ('refused', 'do_not_disturb', 'red_list', 'contacted_elsewhere')),
    valid_from date not null,
    valid_to date,
    month text not null,
    recorded_at timestamptz not null,
    unique nulls not distinct (month, subscriber_id, kind, valid_from, valid_to)
);
create index standing_limits_by_subscriber on standing_limits (subscriber_id);
create index standing_limits_by_customer on standing_limits (customer_key);
create index standing_limits_by_month on standing_limits (month);
comment on table standing_limits is
'one row per limit of contact that may stand, in every campaign: from the feed contact_limits, by month';

create function standing_limit(whose text, customer text, on_day date) returns text language sql stable
return (
    select kind from standing_limits
    where
        (subscriber_id = whose or customer_key = customer)
        and valid_from <= on_day and (valid_to is null or valid_to >= on_day or kind = 'refused')
    order by array_position(array['refused', 'red_list', 'do_not_disturb', 'contacted_elsewhere'], kind)
    limit 1
);
comment on function standing_limit is
'the gravest limit of contact that stands on a day for a number or any number of its customer; a refusal never ends';

alter table tickets add column frozen_at timestamptz;
alter table tickets add column frozen_because text;
alter table tickets add constraint tickets_frozen_for_a_reason
check ((frozen_at is null) = (frozen_because is null));
create index tickets_frozen on tickets (ticket_id) where frozen_at is not null;

create table approved_gaps (
    gap_id bigint generated always as identity primary key,
    feed text not null,
    period text not null,
    file text not null,
    fingerprint text not null,
    rows_left_out bigint check (rows_left_out >= 0),
    approved_by text not null check (approved_by <> ''),
    because text not null check (because <> ''),
    approved_at timestamptz not null,
    superseded_at timestamptz,
    unique (feed, period, file, fingerprint)
);
comment on table approved_gaps is
'one row per file a person decided to go on without (or, with an empty file name, an incomplete delivery taken as it is)';

alter table standing_limits enable row level security;
alter table standing_limits force row level security;
create policy loop_works on standing_limits to churn_loop, churn_owner using (true) with check (true);
create policy desk_reads on standing_limits for select to churn_desk
using (exists (
    select 1 from tickets
    where
        tickets.subscriber_id = standing_limits.subscriber_id
        or tickets.customer_key = standing_limits.customer_key
));
grant select, insert, update, delete on standing_limits, approved_gaps to churn_loop;
grant select on standing_limits to churn_desk;

-- ---------------------------------------------------------------- retention periods and erasure

create table erasure_salts (
    salt text primary key check (length(salt) >= 32)
);
create unique index erasure_salts_only_one on erasure_salts ((true));
comment on table erasure_salts is 'one row in all: the secret with which erased subscribers are hashed';
insert into erasure_salts select replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');

create table erasures (
    erasure_id bigint generated always as identity primary key,
    subscriber_hash text not null,
    bucket smallint not null check (bucket between 0 and 4095),
    kept_out_through text check (kept_out_through ~ '^[12]\d{3}-(0[1-9]|1[0-2])$'),
    requested_by text not null check (requested_by <> ''),
    because text not null check (because <> ''),
    begun_at timestamptz not null,
    finished_at timestamptz,
    counts jsonb not null default '{}'
);
create index erasures_by_subscriber on erasures (subscriber_hash);
create unique index erasures_one_at_a_time on erasures (subscriber_hash) where finished_at is null;
comment on table erasures is
'one row per erasure of a subscriber, without personal data: who asked, why, what went; a salted hash keeps old facts out';

create table retentions (
    retention_id bigint generated always as identity primary key,
    what text not null,
    before text not null,
    rows bigint not null check (rows > 0),
    retired_at timestamptz not null
);
create index retentions_by_time on retentions (retired_at);
comment on table retentions is 'one row per kind of data and run that removed some because its period had ended';

-- History may be reduced by the owner's own procedures below, and by nothing else.
create or replace function refuse_rewriting_history() returns trigger language plpgsql as $$
begin
    if tg_op <> 'TRUNCATE' and current_user = 'churn_owner' and current_setting('app.reducing', true) = 'on' then
        return null;
    end if;
    raise exception '% is append-only: % refused.', tg_table_name, tg_op
        using errcode = 'insufficient_privilege';
end
$$;

create or replace function refuse_change_of_fixed_cycle() returns trigger language plpgsql as $$
begin
    if current_user = 'churn_owner' and current_setting('app.reducing', true) = 'on' then
        return null;
    end if;
    if exists (
        select 1 from changed_rows
        join cycles using (campaign, cycle)
        where changed_rows.revision = 0 and cycles.fixed_at is not null
    ) then
        raise exception 'The cycle is fixed since its first dispatch; a re-run writes a revision.'
            using errcode = 'integrity_constraint_violation';
    end if;
    return null;
end
$$;

create function retire_warnings(before text) returns bigint language plpgsql
security definer set search_path = public, pg_temp as $$
declare
    found_rows bigint;
begin
    perform set_config('app.reducing', 'on', true);
    delete from warnings using cycles
    where warnings.campaign = cycles.campaign and warnings.cycle = cycles.cycle and cycles.month < before;
    get diagnostics found_rows = row_count;
    perform set_config('app.reducing', '', true);
    return found_rows;
end
$$;
comment on function retire_warnings is 'removes the warnings of cycles before a month, of fixed ones as well; returns how many';

create function retire_audit(before timestamptz, at timestamptz) returns bigint language plpgsql
security definer set search_path = public, pg_temp as $$
declare
    found_rows bigint;
begin
    if before > at - interval '180 days' then
        raise exception 'The audit log is kept for 180 days at least, not only since %.', before
            using errcode = 'insufficient_privilege';
    end if;
    perform set_config('app.reducing', 'on', true);
    -- whoever calls says what time it is: a day in the future shortens nothing
    delete from audit_log where happened_at < least(before, now() - interval '180 days');
    get diagnostics found_rows = row_count;
    perform set_config('app.reducing', '', true);
    return found_rows;
end
$$;
comment on function retire_audit is 'removes entries of the audit log from before an instant at least 180 days back; returns how many';

create function retire_event_notes(before timestamptz) returns bigint language plpgsql
security definer set search_path = public, pg_temp as $$
declare
    found_rows bigint;
begin
    perform set_config('app.reducing', 'on', true);
    update ticket_events set details = said_no_more(ticket_events.details)
    from tickets
    where
        tickets.ticket_id = ticket_events.ticket_id and tickets.closed_at < before
        and ticket_events.details <> said_no_more(ticket_events.details);
    get diagnostics found_rows = row_count;
    perform set_config('app.reducing', '', true);
    return found_rows;
end
$$;
comment on function retire_event_notes is
'removes what people wrote into the events of tickets closed before an instant; events, states and codes stay';

create function said_no_more(details jsonb) returns jsonb language sql immutable
return (
    select coalesce(jsonb_object_agg(
        key, case
            when
                jsonb_typeof(value) = 'string' and value #>> '{}' !~ '^[a-z][a-z0-9_]*$'
                and key in ('reason', 'note', 'text', 'message', 'comment', 'because', 'words', 'said', 'done', 'result')
                then '"erased"'::jsonb
            else value
        end
    ), '{}'::jsonb)
    from jsonb_each(details)
);
comment on function said_no_more is 'the details of an event without free text; words of our own (codes) stay';

create function erasure_hash(subscriber text) returns text language sql stable
security definer set search_path = public, pg_temp
return (select encode(sha256(convert_to(salt || subscriber, 'UTF8')), 'hex') from erasure_salts);
comment on function erasure_hash is 'what an erased subscriber is known by';

create function erased_json(content jsonb, pattern text, instead text) returns jsonb language plpgsql immutable as $$
begin
    return case jsonb_typeof(content)
        when 'string' then to_jsonb(regexp_replace(content #>> '{}', pattern, instead, 'g'))
        -- a telephone number may have been written as a number
        when 'number' then case when content::text ~ ('^\d{7,}$') and content::text ~ pattern then 'null'::jsonb else content end
        when 'array' then (
            select coalesce(jsonb_agg(erased_json(item, pattern, instead) order by nth), '[]'::jsonb)
            from jsonb_array_elements(content) with ordinality as items (item, nth)
        )
        when 'object' then (
            select coalesce(
                jsonb_object_agg(regexp_replace(key, pattern, instead, 'g'), erased_json(value, pattern, instead)), '{}'::jsonb
            )
            from jsonb_each(content)
        )
        else content
    end;
end
$$;
comment on function erased_json is 'a JSON value whose texts and keys hold other words where the pattern matched';

create function begin_erasure(
    subscriber text, of_bucket integer, through text, by_whom text, why text, at timestamptz
) returns bigint language plpgsql security definer set search_path = public, pg_temp as $$
declare
    known bigint;
begin
    perform pg_advisory_xact_lock(hashtextextended(erasure_hash(subscriber), 0));
    select erasure_id into known from erasures
    where subscriber_hash = erasure_hash(subscriber) and finished_at is null;
    if known is null then
        insert into erasures (subscriber_hash, bucket, kept_out_through, requested_by, because, begun_at)
        values (erasure_hash(subscriber), of_bucket, through, by_whom, why, at)
        returning erasure_id into known;
    end if;
    return known;
end
$$;
comment on function begin_erasure is 'the erasure of a subscriber that was begun and not finished, else a new one';

create function erase_from_work(subscriber text, theirs bigint [], at timestamptz) returns void language plpgsql
set search_path = public, pg_temp as $$
begin
    -- nobody can work an order for somebody unknown
    with ended as (
        select ticket_id, state as from_state from tickets
        where ticket_id = any(theirs) and state not in ('closed', 'cancelled', 'expired')
        for update
    ), cancelled as (
        update tickets set
            state = 'cancelled', version = tickets.version + 1, closed_at = at,
            paused_until = null, frozen_at = null, frozen_because = null
        from ended where ended.ticket_id = tickets.ticket_id
        returning tickets.ticket_id, tickets.version, ended.from_state
    )
    insert into ticket_events (ticket_id, version, kind, from_state, to_state, actor, occurred_at, details)
    select ticket_id, version, 'cancel', from_state, 'cancelled', 'loop', at, '{"reason": "erased"}' from cancelled;
    update ticket_clocks set voided_at = at
    where ticket_id = any(theirs) and met_at is null and voided_at is null
    and exists (select 1 from tickets where tickets.ticket_id = ticket_clocks.ticket_id and closed_at = at);
    update assignments set
        evidence = '{"erased": true}', evidence_sha256 = encode(sha256(convert_to('{"erased": true}', 'UTF8')), 'hex')
    where subscriber_id = subscriber;
    -- the customer's other tickets describe this number, too
    update assignments set
        evidence = evidence - 'other_numbers',
        evidence_sha256 = encode(sha256(convert_to((evidence - 'other_numbers')::text, 'UTF8')), 'hex')
    where
        evidence ? 'other_numbers' and customer_key in (
            select w.customer_key from warnings as w where w.subscriber_id = subscriber
            union
            select a.customer_key from assignments as a where a.subscriber_id = subscriber
        );
end
$$;
comment on function erase_from_work is
'ends the unfinished tickets of an erased subscriber; clears the evidence, and what the evidence of others of the customer tells of them';

create function erase_from_arms(subscriber text, own_customers text [], instead text) returns void language plpgsql
set search_path = public, pg_temp as $$
begin
    insert into arms (campaign, epoch, customer_key, arm, held_out_share, decided_at)
    select distinct on (arms.campaign, arms.epoch)
        arms.campaign, arms.epoch, instead, arms.arm, arms.held_out_share, arms.decided_at
    from arms join assignments using (campaign, epoch, customer_key, arm)
    where assignments.subscriber_id = subscriber
    on conflict do nothing;
    insert into subscriber_arms (campaign, epoch, subscriber_id, arm)
    select campaign, epoch, instead, arm from subscriber_arms where subscriber_id = subscriber
    on conflict do nothing;
    update assignments set subscriber_id = instead, customer_key = instead where subscriber_id = subscriber;
    delete from subscriber_arms where subscriber_id = subscriber;
    delete from arms
    where customer_key = any(own_customers || subscriber)
    and not exists (
        select 1 from assignments
        where assignments.campaign = arms.campaign and assignments.epoch = arms.epoch
        and assignments.customer_key = arms.customer_key
    );
end
$$;
comment on function erase_from_arms is
'an erased subscriber keeps the arm under a pseudonym; others of the customer keep theirs';

create function erase_from_texts(pattern text, instead text) returns table (what text, changed bigint) language plpgsql
set search_path = public, pg_temp as $$
declare
    place record;
    erased text;
begin
    for place in
        select * from erasable_columns()
        where column_name not in ('subscriber_id', 'customer_key', 'actor', 'campaign', 'cycle', 'epoch', 'state', 'msisdn')
    loop
        erased := case place.kind
            when 'text' then 'regexp_replace(%2$I, $1, $2, ''g'')'
            when 'jsonb' then 'erased_json(%2$I, $1, $2)'
            else 'array(select regexp_replace(item, $1, $2, ''g'') from unnest(%2$I) as item)'
        end;
        execute format('update %1$I set %2$I = ' || erased || ' where %2$I::text ~ $1', place.table_name, place.column_name)
            using pattern, instead;
        get diagnostics changed = row_count;
        what := place.table_name;
        return next;
    end loop;
end
$$;
comment on function erase_from_texts is 'puts other words wherever a pattern is found in the texts and JSON of any table';

create function erasable_columns() returns table (
    table_name text, column_name text, kind text, has_ticket boolean, has_customer boolean
) language sql stable set search_path = public, pg_temp as $$
    select
        pg_class.relname::text, one.attname::text, pg_type.typname::text,
        exists (
            select 1 from pg_attribute as other
            where other.attrelid = pg_class.oid and other.attname = 'ticket_id'
        ),
        exists (
            select 1 from pg_attribute as other
            where other.attrelid = pg_class.oid and other.attname = 'customer_key'
        )
    from pg_class
    join pg_attribute as one on one.attrelid = pg_class.oid and one.attnum > 0 and not one.attisdropped
    join pg_type on pg_type.oid = one.atttypid
    where
        pg_class.relkind in ('r', 'p') and pg_class.relnamespace = 'public'::regnamespace
        and pg_class.relowner = 'churn_owner'::regrole and one.attgenerated = ''
        and pg_type.typname in ('text', 'varchar', 'jsonb', '_text')
        and pg_class.relname not in (
            'erasures', 'erasure_salts', 'retentions', 'configurations', 'staff', 'work_days', 'models', 'cycles',
            'cycle_revisions', 'evaluations', 'deliveries', 'arms', 'subscriber_arms',
            'branches', 'budget_pots', 'work_day_drafts', 'heartbeats', 'factor_drift', 'factor_rankings'
        )
        -- codes: an id that equals one would take it from everybody
        and one.attname not in (
            'branch_code', 'region_code', 'team', 'unit', 'strategy', 'offer', 'offer_name'
        )
    order by 1, 2
$$;
comment on function erasable_columns is
'every column of texts in which a subscriber may be named: all but codes, and tables that know no subscribers or are handled apart';

do $$
declare
    own text;
begin
    foreach own in array array[
        'retire_warnings(text)', 'retire_audit(timestamptz, timestamptz)',
        'retire_event_notes(timestamptz)', 'erasure_hash(text)',
        'begin_erasure(text, integer, text, text, text, timestamptz)'
    ] loop
        execute format('revoke execute on function %s from public', own);
        execute format('grant execute on function %s to churn_loop', own);
    end loop;
end
$$;
grant select on erasure_salts to churn_loop;
grant select, update (finished_at, counts) on erasures to churn_loop;
grant select, insert on retentions to churn_loop;

reset role;
