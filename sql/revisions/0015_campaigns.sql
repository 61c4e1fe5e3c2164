-- One engine for many campaigns: what a cycle says of its campaign, draws shared by measure, who is admitted without a
-- grade, one calling ticket per customer over all campaigns.
set local role churn_owner;

-- ---------------------------------------------------------------- cycles

alter table cycles
add cadence text not null default 'monthly' check (cadence in ('monthly', 'daily')),
add precedence integer not null default 100 check (precedence > 0),
add is_shadow boolean not null default false,
add measure text,
add horizon_ends_at timestamptz,
add dispatch_ends_at timestamptz;
-- cycles of before were of campaigns about the month after theirs, each with a draw of its own; the fixed ones, too
alter table cycles disable trigger cycles_stay_fixed;
update cycles set
    measure = campaign,
    horizon_ends_at = (to_date(month, 'YYYY-MM') + interval '2 months') at time zone 'Asia/Shanghai',
    dispatch_ends_at = (to_date(month, 'YYYY-MM') + interval '2 months') at time zone 'Asia/Shanghai';
alter table cycles enable trigger cycles_stay_fixed;
grant update (month, precedence, is_shadow, measure, horizon_ends_at, dispatch_ends_at) on cycles to churn_loop;
comment on table cycles is
'one row per campaign and cycle: what it may know (as_of), its configuration, its place among others, and what fixed it';
comment on column cycles.cycle is 'YYYY-MM of a monthly campaign, YYYY-MM-DD of a daily one';
comment on column cycles.month is 'the month whose factors the cycle reads';
comment on column cycles.precedence is 'of two campaigns that want the same customer the smaller number goes first, then the name';
comment on column cycles.is_shadow is 'everything but tickets: nobody outside its own board notices';
comment on column cycles.measure is 'the draw of its hold-out, which campaigns may share; null where nobody is held out';
comment on column cycles.horizon_ends_at is 'until then an assignment of either arm bars other campaigns';
comment on column cycles.dispatch_ends_at is 'from then on tickets would be cold';
create index cycles_undispatched on cycles (dispatch_ends_at) where fixed_at is null and not is_shadow;

-- ---------------------------------------------------------------- who is admitted

alter table warnings
alter grade drop not null,
add is_admitted boolean not null default false;
alter table warnings disable trigger warnings_update_before_fix;
update warnings set is_admitted = true where grade = 'high' and tier = 'priority';
alter table warnings enable trigger warnings_update_before_fix;
create index warnings_admitted on warnings (campaign, cycle, revision, rank) where is_admitted;
create index warnings_admitted_customer on warnings (customer_key) where is_admitted and revision = 0;
create index warnings_admitted_number on warnings (subscriber_id) where is_admitted and revision = 0;
comment on column warnings.is_admitted is 'whether a person is to call, if nothing bars it; the others are watched or written to';
comment on column warnings.grade is 'high or mid; null where the campaign admits by something else than grades';

-- ---------------------------------------------------------------- draws

alter table arms rename campaign to measure;
alter table subscriber_arms rename campaign to measure;
comment on table arms is
'one row per customer, measure and epoch: the arm drawn once for every campaign of the measure; assignments refer to it';
comment on table subscriber_arms is
'one row per assigned subscriber, measure and epoch: the arm stays though the customer behind the number changes';

alter table assignments add measure text;
update assignments set measure = campaign;
alter table assignments
drop constraint assignments_campaign_epoch_customer_key_arm_fkey,
drop constraint assignments_campaign_epoch_subscriber_id_arm_fkey,
add foreign key (measure, epoch, customer_key, arm) references arms (measure, epoch, customer_key, arm),
add foreign key (measure, epoch, subscriber_id, arm) references subscriber_arms (measure, epoch, subscriber_id, arm),
add constraint assignments_without_draw_are_treated
check (measure is not null or (arm = 'treated' and probability_of_assignment = 1));
comment on column assignments.measure is 'the draw its arm is of; null where the campaign holds nobody out';
create index assignments_by_measure on assignments (measure, epoch, customer_key);

create or replace function erase_from_arms(subscriber text, own_customers text [], instead text) returns void
language plpgsql set search_path = public, pg_temp as $$
begin
    insert into arms (measure, epoch, customer_key, arm, held_out_share, decided_at)
    select distinct on (arms.measure, arms.epoch)
        arms.measure, arms.epoch, instead, arms.arm, arms.held_out_share, arms.decided_at
    from arms join assignments using (measure, epoch, customer_key, arm)
    where assignments.subscriber_id = subscriber
    on conflict do nothing;
    insert into subscriber_arms (measure, epoch, subscriber_id, arm)
    select measure, epoch, instead, arm from subscriber_arms where subscriber_id = subscriber
    on conflict do nothing;
    update assignments set subscriber_id = instead, customer_key = instead where subscriber_id = subscriber;
    delete from subscriber_arms where subscriber_id = subscriber;
    delete from arms
    where customer_key = any(own_customers || subscriber)
    and not exists (
        select 1 from assignments
        where assignments.measure = arms.measure and assignments.epoch = arms.epoch
        and assignments.customer_key = arms.customer_key
    );
end
$$;

-- ---------------------------------------------------------------- tickets

alter table tickets
alter grade drop not null,
add precedence integer not null default 100,
add beside boolean not null default false,
add is_pool boolean not null default false,
add led_by text,
add shared_by text;
comment on column tickets.beside is 'whether its campaign allows another calling ticket beside it, if that one allows it, too';
comment on column tickets.is_pool is 'whoever wants one takes the next by rank; nobody chooses';
comment on column tickets.led_by is 'staff_code of the manager or seller of the subscriber it is for';
comment on column tickets.shared_by is 'staff_code of who shares its figures';
-- what stands side by side already goes on
update tickets as t set beside = true
where t.state not in ('closed', 'cancelled', 'expired') and exists (
    select 1 from tickets as o
    where
        o.ticket_id <> t.ticket_id and o.state not in ('closed', 'cancelled', 'expired')
        and (o.customer_key = t.customer_key or o.subscriber_id = t.subscriber_id)
);
drop index tickets_one_unfinished;
drop index tickets_one_unfinished_number;
-- Two unfinished tickets of a customer exclude each other unless both may stand beside others: such a ticket claims its
-- own number alone, any other claims them all. A person is told by a hash, for a range is what a GiST index knows. Asked at
-- the end of a statement: one that renames both tickets of a customer may be right as a whole.
alter table tickets
add constraint tickets_one_calling_customer exclude using gist (
    int8range(hashtextextended(customer_key, 0) >> 1, hashtextextended(customer_key, 0) >> 1, '[]') with &&,
    int8range(case when beside then ticket_id end, case when beside then ticket_id end, '[]') with &&
) where (state not in ('closed', 'cancelled', 'expired')) deferrable,
add constraint tickets_one_calling_number exclude using gist (
    int8range(hashtextextended(subscriber_id, 0) >> 1, hashtextextended(subscriber_id, 0) >> 1, '[]') with &&,
    int8range(case when beside then ticket_id end, case when beside then ticket_id end, '[]') with &&
) where (state not in ('closed', 'cancelled', 'expired')) deferrable;
create index tickets_unfinished_by_customer on tickets (customer_key)
where state not in ('closed', 'cancelled', 'expired');
create index tickets_unfinished_by_number on tickets (subscriber_id)
where state not in ('closed', 'cancelled', 'expired');
comment on table tickets is
'one row per work order: one per subscriber, campaign and cycle; one unfinished per customer unless all may stand beside others';

alter table ticket_clocks drop constraint ticket_clocks_clock_check;
alter table dispatch_decisions add yields_to text;
comment on column dispatch_decisions.yields_to is 'the campaign that is to call the customer instead';
comment on table dispatch_decisions is
'one row per admitted warning of a dispatched or shadow cycle: what dispatch decided, and why when it left somebody out';

reset role;
