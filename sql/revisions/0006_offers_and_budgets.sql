-- Offers, budget pots, outreach lists.
set local role churn_owner;

-- ---------------------------------------------------------------- plans and their processing

alter table retention_plans add column offer_name text;
alter table retention_plans add unique (plan_id, ticket_id);

create table plan_processings (
    processing_id bigint generated always as identity primary key,
    plan_id bigint not null,
    ticket_id bigint not null,
    result text not null check (result in ('done', 'failed')),
    order_number text check (order_number ~ '^\S(.{0,62}\S)?$'),
    processed_at timestamptz not null,
    staff_id bigint not null references staff,
    note text,
    foreign key (plan_id, ticket_id) references retention_plans (plan_id, ticket_id) on update cascade,
    check (result <> 'done' or order_number is not null)
);
create unique index plan_processings_order on plan_processings (order_number);
create unique index plan_processings_done on plan_processings (plan_id) where result = 'done';
create index plan_processings_by_ticket on plan_processings (ticket_id, processed_at);
comment on table plan_processings is
'one row per attempt to carry out a retention plan: done with its order number, or failed';

-- ---------------------------------------------------------------- budget

create table budget_pots (
    pot_id bigint generated always as identity primary key,
    campaign text not null,
    starts_on date not null,
    ends_on date not null,
    branch_code text,
    limit_yuan numeric(14, 4) not null,
    warn_share numeric(5, 4) not null check (warn_share > 0 and warn_share < 1),
    reserved_yuan numeric(14, 4) not null default 0 check (reserved_yuan >= 0),
    committed_yuan numeric(14, 4) not null default 0 check (committed_yuan >= 0),
    set_by text not null,
    set_at timestamptz not null,
    check (ends_on >= starts_on),
    constraint budget_pots_within_limit check (reserved_yuan + committed_yuan <= limit_yuan)
);
create unique index budget_pots_once on budget_pots (campaign, starts_on, ends_on, branch_code) nulls not distinct;
comment on table budget_pots is
'one row per campaign, period and branch (null: all): what may be spent on plans, what is reserved and committed';

create table budget_movements (
    movement_id bigint generated always as identity primary key,
    plan_id bigint not null references retention_plans,
    pot_id bigint not null references budget_pots,
    step integer not null check (step > 0),
    kind text not null check (kind in ('reserved', 'committed', 'released')),
    amount_yuan numeric(14, 4) not null check (amount_yuan > 0),
    cause text not null check (cause in ('planned', 'processed', 'failed', 'replaced', 'ended', 'lapsed')),
    moved_at timestamptz not null,
    -- every odd step reserves, the one after it commits or releases
    check ((step % 2 = 1) = (kind = 'reserved')),
    unique (plan_id, pot_id, step)
);
comment on table budget_movements is
'one row per movement of money for a plan, append-only: reserved, then committed or released';
create trigger budget_movements_append_only before update or delete or truncate on budget_movements
for each statement execute function refuse_rewriting_history();

-- The functions below go by tickets and plans, one after the other, whatever the statistics of a young table say.
create view budget_open with (security_invoker = true) as
select m.plan_id, m.pot_id, m.amount_yuan, p.ticket_id, p.valid_until
from budget_movements as m
inner join retention_plans as p using (plan_id)
where m.kind = 'reserved' and not exists (
    select 1 from budget_movements as later
    where later.plan_id = m.plan_id and later.pot_id = m.pot_id and later.step > m.step
);
comment on view budget_open is 'one row per plan and pot whose money is reserved and neither committed nor released';

-- The order of steps cannot be bent: what is not reserved is neither committed nor released.
create function number_budget_step() returns trigger language plpgsql security definer set search_path = public, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    last budget_movements;
begin
    select * into last from budget_movements
    where plan_id = new.plan_id and pot_id = new.pot_id order by step desc limit 1;
    if coalesce(last.kind, '') = 'committed' or (new.kind = 'reserved') = (coalesce(last.kind, 'released') = 'reserved')
        or (new.kind <> 'reserved' and new.amount_yuan <> last.amount_yuan) then
        raise exception 'Plan % cannot be % in pot % after it was %.',
            new.plan_id, new.kind, new.pot_id, coalesce(last.kind, 'nothing')
            using errcode = 'integrity_constraint_violation';
    end if;
    new.step := coalesce(last.step, 0) + 1;
    return new;
end
$$;
create trigger budget_movements_step before insert on budget_movements
for each row execute function number_budget_step();

-- The totals of a pot are the sums of its movements; its check keeps them within the limit.
create function add_budget_movements() returns trigger language plpgsql security definer set search_path = public, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    perform 1 from budget_pots
    where pot_id in (select pot_id from moved) order by pot_id for update;
    with sums as (
        select
            pot_id,
            sum(case kind when 'reserved' then amount_yuan else -amount_yuan end) as reserved_yuan,
            sum(case kind when 'committed' then amount_yuan else 0 end) as committed_yuan,
            max(moved_at) as moved_at
        from moved
        group by pot_id
    ),
    counted as (
        update budget_pots as p
        set reserved_yuan = p.reserved_yuan + s.reserved_yuan, committed_yuan = p.committed_yuan + s.committed_yuan
        from sums as s
        where p.pot_id = s.pot_id
        returning p.*, s.moved_at
    )
    insert into notices (dedupe_key, kind, audience, details, created_at)
    select
        format('budget:%s:%s', pot_id, limit_yuan), 'budget_nearly_spent', 'branch_manager',
        jsonb_build_object(
            'pot_id', pot_id, 'campaign', campaign, 'branch_code', coalesce(branch_code, ''), 'starts_on', starts_on,
            'ends_on', ends_on, 'limit_yuan', limit_yuan, 'reserved_yuan', reserved_yuan,
            'committed_yuan', committed_yuan
        ),
        moved_at
    from counted
    where limit_yuan > 0 and reserved_yuan + committed_yuan >= warn_share * limit_yuan
    on conflict (dedupe_key) do nothing;
    return null;
end
$$;
create trigger budget_movements_counted after insert on budget_movements
referencing new table as moved for each statement execute function add_budget_movements();

create function budget_of(of_ticket bigint, on_day date) returns table (
    pot_id bigint, branch_code text, ends_on date, limit_yuan numeric, left_yuan numeric
) language sql stable security definer set search_path = public, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
    select
        p.pot_id, p.branch_code, p.ends_on, p.limit_yuan,
        p.limit_yuan - p.reserved_yuan - p.committed_yuan + coalesce((
            select sum(o.amount_yuan) from budget_open as o
            where o.pot_id = p.pot_id and o.ticket_id = t.ticket_id
        ), 0)
    from tickets as t
    inner join budget_pots as p
        on t.campaign = p.campaign and on_day between p.starts_on and p.ends_on
        and (
            p.branch_code is null or p.branch_code = t.branch_code
            or p.branch_code = any(branch_line(t.branch_code))
        )
    where t.ticket_id = of_ticket
    order by p.pot_id
$$;
comment on function budget_of is
'the pots a plan on the ticket draws on that day, and what is left for it: its own unprocessed plan would be replaced';

create function lock_budget_of(of_ticket bigint, on_day date) returns table (
    pot_id bigint, branch_code text, ends_on date, limit_yuan numeric, left_yuan numeric
) language plpgsql security definer set search_path = public, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    perform 1 from budget_pots as p
    where
        p.pot_id in (select b.pot_id from budget_of(of_ticket, on_day) as b)
        or p.pot_id in (select o.pot_id from budget_open as o where o.ticket_id = of_ticket)
    order by p.pot_id for update;
    return query select * from budget_of(of_ticket, on_day);
end
$$;
comment on function lock_budget_of is 'budget_of, which nobody can change until the transaction ends';

-- A plan reserves its cost in every pot it draws on; the ticket's unprocessed plan before it is replaced.
create function reserve_budget() returns trigger language plpgsql security definer set search_path = public, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    perform lock_budget_of(new.ticket_id, cast(new.recorded_at at time zone 'Asia/Shanghai' as date));
    insert into budget_movements (plan_id, pot_id, kind, amount_yuan, cause, moved_at)
    select plan_id, pot_id, 'released', amount_yuan, 'replaced', new.recorded_at
    from budget_open
    where ticket_id = new.ticket_id and plan_id <> new.plan_id;
    insert into budget_movements (plan_id, pot_id, kind, amount_yuan, cause, moved_at)
    select new.plan_id, pot_id, 'reserved', new.cost_yuan, 'planned', new.recorded_at
    from budget_of(new.ticket_id, cast(new.recorded_at at time zone 'Asia/Shanghai' as date))
    where new.cost_yuan > 0;
    return null;
end
$$;
create trigger retention_plans_reserve after insert on retention_plans
for each row execute function reserve_budget();

-- Done commits (what was released meanwhile is reserved anew first), failed releases.
create function settle_budget() returns trigger language plpgsql security definer set search_path = public, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    perform 1 from budget_pots
    where pot_id in (select pot_id from budget_movements where plan_id = new.plan_id) order by pot_id for update;
    if new.result = 'done' then
        insert into budget_movements (plan_id, pot_id, kind, amount_yuan, cause, moved_at)
        select distinct on (m.pot_id) m.plan_id, m.pot_id, 'reserved', m.amount_yuan, 'processed', new.processed_at
        from budget_movements as m
        where m.plan_id = new.plan_id and not exists (
            select 1 from budget_open as o where o.plan_id = m.plan_id and o.pot_id = m.pot_id
        )
        order by m.pot_id;
    end if;
    insert into budget_movements (plan_id, pot_id, kind, amount_yuan, cause, moved_at)
    select
        plan_id, pot_id, case new.result when 'done' then 'committed' else 'released' end, amount_yuan,
        case new.result when 'done' then 'processed' else 'failed' end, new.processed_at
    from budget_open
    where plan_id = new.plan_id;
    return null;
end
$$;
create trigger plan_processings_settle after insert on plan_processings
for each row execute function settle_budget();

-- Retained and considering subscribers may still be processed; their money is free when the offer has lapsed.
create function ends_plans(state text, outcome text, is_recalled boolean) returns boolean language sql immutable
return state in ('cancelled', 'expired') or is_recalled
or (state = 'closed' and outcome not in ('retained', 'considering'));
comment on function ends_plans is 'whether a ticket has ended so that its plan will hardly be processed any more';

-- Planned each time: one ticket ends by index, a hundred thousand by a hash join.
-- However a ticket ends, by a person or by the loop, one or a hundred thousand: what no plan can use is free again.
create function release_budget_of_ended() returns trigger language plpgsql security definer set search_path = public, pg_temp
set plan_cache_mode = force_custom_plan as $$
begin
    if not exists (select 1 from budget_pots)
        or not exists (select 1 from changed_tickets where ends_plans(state, outcome, is_recalled)) then
        return null;
    end if;
    perform 1 from budget_pots
    where pot_id in (
        select o.pot_id from changed_tickets as e
        inner join budget_open as o on e.ticket_id = o.ticket_id
        where ends_plans(e.state, e.outcome, e.is_recalled)
    )
    order by pot_id for update;
    insert into budget_movements (plan_id, pot_id, kind, amount_yuan, cause, moved_at)
    select o.plan_id, o.pot_id, 'released', o.amount_yuan, 'ended', coalesce(e.closed_at, e.dispatched_at)
    from changed_tickets as e
    inner join budget_open as o on e.ticket_id = o.ticket_id
    where ends_plans(e.state, e.outcome, e.is_recalled);
    return null;
end
$$;
create trigger tickets_release_budget after update on tickets
referencing new table as changed_tickets for each statement execute function release_budget_of_ended();

create function release_lapsed_budget(on_day date, at timestamptz, of_pots bigint []) returns bigint
language sql volatile security definer set search_path = public, pg_temp as $$
    -- the same money is freed once, however many see that an offer has lapsed
    select 1 from budget_pots where pot_id = any(of_pots) order by pot_id for update;
    with lapsed as (
        insert into budget_movements (plan_id, pot_id, kind, amount_yuan, cause, moved_at)
        select o.plan_id, o.pot_id, 'released', o.amount_yuan, 'lapsed', at
        from budget_open as o
        inner join tickets as t on o.ticket_id = t.ticket_id
        where o.valid_until < on_day and t.state = 'closed' and o.pot_id = any(of_pots)
        returning plan_id
    )
    select count(*) from lapsed
$$;
comment on function release_lapsed_budget is
'frees what closed tickets still reserve in these pots for offers that have lapsed; gives the number of movements';

create function offers_given(of_ticket bigint) returns table (offer_name text, given_at timestamptz)
language sql stable security definer set search_path = public, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
    select p.offer_name, max(d.processed_at)
    from tickets as mine
    inner join tickets as t on mine.subscriber_id = t.subscriber_id
    inner join retention_plans as p on t.ticket_id = p.ticket_id
    inner join plan_processings as d on p.plan_id = d.plan_id and d.result = 'done'
    where mine.ticket_id = of_ticket and p.offer_name is not null
    group by p.offer_name
$$;
comment on function offers_given is
'the offers processed for the subscriber of a ticket, whoever worked them, and when last: names only';

create function order_number_is_taken(wanted text) returns boolean
language sql stable security definer set search_path = public, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
    select exists (select 1 from plan_processings where order_number = wanted)
$$;
comment on function order_number_is_taken is 'whether some plan, on a ticket the asker may see or not, has this order number';

-- ---------------------------------------------------------------- outreach

create table outreach_items (
    campaign text not null,
    cycle text not null,
    subscriber_id text not null,
    customer_key text not null,
    rank integer not null,
    grade text not null,
    decision text not null check (decision in ('listed', 'held_out', 'suppressed', 'not_reached')),
    reason text,
    strategy text,
    offer text,
    channel text check (channel in ('app', 'sms')),
    probability_of_assignment double precision
    check (probability_of_assignment > 0 and probability_of_assignment <= 1),
    send_from timestamptz,
    listed_at timestamptz not null,
    primary key (campaign, cycle, subscriber_id),
    foreign key (campaign, cycle) references cycles,
    check ((decision = 'suppressed') = (reason is not null)),
    check ((decision in ('listed', 'held_out')) = (offer is not null)),
    check ((decision in ('listed', 'held_out')) = (probability_of_assignment is not null)),
    check ((offer is null) = (strategy is null) and (offer is null) = (channel is null))
);
create unique index outreach_items_once on outreach_items (campaign, cycle, customer_key)
where decision in ('listed', 'held_out');
create index outreach_items_by_customer on outreach_items (customer_key, campaign);
create index outreach_items_by_subscriber on outreach_items (subscriber_id);
comment on table outreach_items is
'one row per secondary-tier warning of a dispatched cycle: listed for SMS or app, held out, or why not';

-- ---------------------------------------------------------------- rights

grant select, insert, update, delete on plan_processings, outreach_items to churn_loop;
grant select, insert on plan_processings to churn_desk;
grant select on budget_pots, budget_movements, budget_open to churn_loop, churn_desk;
grant insert, update (limit_yuan, warn_share, set_by, set_at) on budget_pots to churn_loop;
revoke execute on function
budget_of, lock_budget_of, release_lapsed_budget, offers_given, order_number_is_taken from public;
grant execute on function
budget_of, lock_budget_of, release_lapsed_budget, offers_given, order_number_is_taken to churn_loop, churn_desk;

do $$
declare
    walled text;
begin
    foreach walled in array array['plan_processings', 'budget_movements'] loop
        execute format('alter table %I enable row level security', walled);
        execute format('alter table %I force row level security', walled);
        execute format('create policy loop_works on %I to churn_loop, churn_owner using (true) with check (true)', walled);
    end loop;
end
$$;
create policy desk_works on plan_processings to churn_desk
using (exists (select 1 from tickets where tickets.ticket_id = plan_processings.ticket_id))
with check (exists (select 1 from tickets where tickets.ticket_id = plan_processings.ticket_id));
create policy desk_reads on budget_movements for select to churn_desk
using (exists (select 1 from retention_plans where retention_plans.plan_id = budget_movements.plan_id));

reset role;
