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
    source text not null check (source in ('feed', 'desk')),
    month text,
    staff_id bigint references staff,
    recorded_at timestamptz not null,
    check ((source = 'feed') = (month is not null)),
    check ((source = 'desk') = (staff_id is not null)),
    unique nulls not distinct (source, month, subscriber_id, kind, valid_from, valid_to)
);
create index standing_limits_by_subscriber on standing_limits (subscriber_id);
create index standing_limits_by_customer on standing_limits (customer_key);
create index standing_limits_by_month on standing_limits (month);
comment on table standing_limits is
'one row per limit of contact that may stand, of every campaign: from the feed contact_limits by month, or from the desk';

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
create policy desk_adds on standing_limits for insert to churn_desk
with check (
    source = 'desk' and staff_id = desk_staff_id()
    and exists (select 1 from tickets where tickets.subscriber_id = standing_limits.subscriber_id)
);
grant select, insert, update, delete on standing_limits, approved_gaps to churn_loop;
grant select, insert on standing_limits to churn_desk;

reset role;
