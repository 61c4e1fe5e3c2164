-- Drift and ranking of factors; erasure over everything the revisions since 0003 added.
set local role churn_owner;

create table factor_drift (
    campaign text not null,
    cycle text not null,
    subject text not null,
    baseline_month text not null check (baseline_month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
    psi double precision not null check (psi >= 0),
    coverage double precision not null check (coverage between 0 and 1),
    baseline_coverage double precision not null check (baseline_coverage between 0 and 1),
    level text not null check (level in ('stable', 'watch', 'shifted')),
    measured_at timestamptz not null,
    primary key (campaign, cycle, subject),
    foreign key (campaign, cycle) references cycles (campaign, cycle)
);
create index factor_drift_by_subject on factor_drift (campaign, subject, cycle);
comment on table factor_drift is 'one row per cycle and factor (or score): how far its distribution moved against the month before';

create table factor_rankings (
    campaign text not null,
    cycle text not null,
    cluster text not null,
    factor text not null,
    labelled_month text not null check (labelled_month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
    rank integer not null check (rank >= 1),
    information_value double precision not null check (information_value >= 0),
    mutual_information double precision not null check (mutual_information >= 0),
    measured_at timestamptz not null,
    primary key (campaign, cycle, cluster, factor),
    unique (campaign, cycle, cluster, rank),
    foreign key (campaign, cycle) references cycles (campaign, cycle)
);
create index factor_rankings_by_factor on factor_rankings (campaign, factor, cycle);
comment on table factor_rankings is
'one row per cycle, tenure cluster (or pooled) and factor: how much it tells about churn in the newest labelled month';

grant select, insert, update, delete on factor_drift, factor_rankings to churn_loop;

-- ---------------------------------------------------------------- erasure of what the revisions since 0003 added

create function erase_from_records(subscriber text, own_customers text [], theirs bigint [], instead text, at timestamptz)
returns table (what text, changed bigint) language plpgsql set search_path = public, pg_temp as $$
declare
    their_calls bigint [] := array(select inbound_id from inbound_contacts where subscriber_id = subscriber);
begin
    -- told under several customers that are nobody else's, it becomes one under the pseudonym
    delete from refusals
    where
        subscriber_id = subscriber and customer_key = any(own_customers || subscriber)
        and exists (
            select 1 from refusals as earlier
            where
                earlier.subscriber_id = subscriber and earlier.customer_key = any(own_customers || subscriber)
                and earlier.refusal_id < refusals.refusal_id
        );
    -- a refusal of the whole household holds for its other numbers
    update refusals set
        words = 'erased', subscriber_id = case when subscriber_id = subscriber then instead else subscriber_id end,
        customer_key = case when customer_key = any(own_customers || subscriber) then instead else customer_key end
    where subscriber_id = subscriber or ticket_id = any(theirs) or inbound_id = any(their_calls);
    get diagnostics changed = row_count;
    what := 'refusals';
    return next;
    -- nobody can mend anything for somebody unknown
    update linked_tasks set
        words = 'erased', result = 'erased', done_at = coalesce(done_at, at)
    where
        (ticket_id = any(theirs) or inbound_id = any(their_calls))
        and (words <> 'erased' or result is distinct from 'erased');
    get diagnostics changed = row_count;
    what := 'linked_tasks';
    return next;
    update inbound_contacts set said = 'erased', done = 'erased' where inbound_id = any(their_calls);
    get diagnostics changed = row_count;
    what := 'inbound_contacts';
    return next;
    update plan_processings set order_number = format('%s-%s', instead, processing_id)
    where ticket_id = any(theirs) and order_number is not null and order_number !~ '^erased-';
    get diagnostics changed = row_count;
    what := 'plan_processings';
    return next;
    -- by its order number the billing system finds the subscriber
    update ticket_events set details = details || '{"order_number": "erased"}'
    where ticket_id = any(theirs) and details ->> 'order_number' <> 'erased';
    get diagnostics changed = row_count;
    what := 'ticket_events';
    return next;
end
$$;
comment on function erase_from_records is
'takes what was said, written and ordered for an erased subscriber out of the records of retention work';

create function keep_limits_of_household(subscriber text, own_customers text [], instead text)
returns void language plpgsql set search_path = public, pg_temp as $$
begin
    -- an erasure that was killed may find again what it had kept: the feed brought it back meanwhile
    delete from standing_limits as again using standing_limits as kept
    where
        again.subscriber_id = subscriber and kept.subscriber_id = instead
        and kept.month = format('%s %s', instead, again.month) and kept.kind = again.kind
        and kept.valid_from = again.valid_from and kept.valid_to is not distinct from again.valid_to;
    -- under no month of the feed, so that no later delivery takes it away
    update standing_limits set subscriber_id = instead, month = format('%s %s', instead, month)
    where subscriber_id = subscriber and customer_key <> all(own_customers || subscriber);
    -- the last number of the household goes: nobody is left to whom its key belongs
    update standing_limits set customer_key = instead
    where customer_key = any(own_customers) and subscriber_id ~ '^erased-';
end
$$;
comment on function keep_limits_of_household is
'lets what an erased number refused for its whole household go on holding for the other numbers';

create function erase_subscriber(
    subscriber text, own_customers text [], pattern text, instead text, at timestamptz
) returns table (what text, changed bigint) language plpgsql
security definer set search_path = public, pg_temp as $$
declare
    theirs bigint [] := array(select ticket_id from tickets where subscriber_id = subscriber);
    place record;
begin
    perform set_config('app.reducing', 'on', true);
    perform erase_from_work(subscriber, theirs, at);
    perform erase_from_arms(subscriber, own_customers, instead);
    perform keep_limits_of_household(subscriber, own_customers, instead);
    return query
    select kept.what, kept.changed from erase_from_records(subscriber, own_customers, theirs, instead, at) as kept;
    for place in
        select * from erasable_columns() where column_name in ('subscriber_id', 'note', 'msisdn', 'details')
        order by column_name, table_name
    loop
        what := place.table_name;
        if place.column_name = 'subscriber_id' then
            execute format('update %I set subscriber_id = $2 %s where subscriber_id = $1', place.table_name,
                case when place.has_customer then ', customer_key = $2' end) using subscriber, instead;
        elsif place.column_name = 'msisdn' and place.has_ticket then
            execute format('delete from %I where ticket_id = any($1) or msisdn ~ $2', place.table_name) using theirs, pattern;
        elsif place.column_name = 'note' and place.has_ticket then
            -- not null: a survey of other needs has words
            execute format('update %I set note = ''erased'' where ticket_id = any($1) and note <> ''erased''',
                place.table_name) using theirs;
        elsif place.column_name = 'details' and place.has_ticket then
            execute format('update %I set details = said_no_more(details) where ticket_id = any($1)
                and details <> said_no_more(details)', place.table_name) using theirs;
        else
            continue;
        end if;
        get diagnostics changed = row_count;
        return next;
    end loop;
    return query select swept.what, swept.changed from erase_from_texts(pattern, instead) as swept;
    perform set_config('app.reducing', '', true);
end
$$;
comment on function erase_subscriber is
'takes one subscriber out of every table: ids become a pseudonym, what was said and numbers to call go, counts and history stay';
revoke execute on function erase_subscriber(text, text [], text, text, timestamptz) from public;
grant execute on function erase_subscriber(text, text [], text, text, timestamptz) to churn_loop;

reset role;
