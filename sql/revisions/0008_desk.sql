-- What the desk keeps: uses of phone numbers, tickets held for a moment, idempotency keys.
set local role churn_owner;

-- ---------------------------------------------------------------- uses of numbers, searches, exports

create table desk_uses (
    use_id bigint generated always as identity primary key,
    staff_id bigint not null references staff,
    ticket_id bigint references tickets,
    kind text not null check (kind in ('reveal', 'call', 'search', 'export')),
    used_at timestamptz not null,
    day date generated always as (cast(used_at at time zone 'Asia/Shanghai' as date)) stored,
    check ((ticket_id is not null) = (kind in ('reveal', 'call')))
);
create index desk_uses_by_day on desk_uses (staff_id, day, kind);
create index desk_uses_by_ticket on desk_uses (ticket_id) where ticket_id is not null;
create trigger desk_uses_append_only before update or delete or truncate on desk_uses
for each statement execute function refuse_rewriting_history();
comment on table desk_uses is
'one row per number revealed or called, search by number and export, append-only; what is searched for is not kept';

-- a customer on the line is found by the number, or the end of it
create index ticket_phones_by_number on ticket_phones (right(msisdn, 11));
create index ticket_phones_by_end on ticket_phones (right(msisdn, 4));

create table ticket_holds (
    ticket_id bigint primary key references tickets,
    staff_id bigint not null references staff,
    held_until timestamptz not null
);
create index ticket_holds_by_staff on ticket_holds (staff_id);
comment on table ticket_holds is 'one row per ticket somebody was given as the next one: nobody else gets it before held_until';

create table ticket_skips (
    skip_id bigint generated always as identity primary key,
    ticket_id bigint not null references tickets,
    staff_id bigint not null references staff,
    skipped_at timestamptz not null,
    day date generated always as (cast(skipped_at at time zone 'Asia/Shanghai' as date)) stored,
    note text check (btrim(note) <> '')
);
create index ticket_skips_by_day on ticket_skips (staff_id, day);
create index ticket_skips_by_ticket on ticket_skips (ticket_id);
comment on table ticket_skips is
'one row per ticket somebody was given as the next one and passed by; note says why, from the third of a day on';

create table saved_views (
    view_id bigint generated always as identity primary key,
    staff_id bigint not null references staff,
    name text not null check (btrim(name) <> '' and length(name) <= 40),
    query text not null check (length(query) <= 300),
    unique (staff_id, name)
);
comment on table saved_views is 'one row per view of the queue a person keeps: its name and the filters of its address';

grant select on desk_uses, ticket_holds, ticket_skips to churn_loop, churn_desk;
grant insert, update, delete on ticket_holds, saved_views to churn_loop, churn_desk;
grant select on saved_views to churn_loop, churn_desk;
grant insert on ticket_skips to churn_desk, churn_loop;
grant update (note) on ticket_skips to churn_loop;

do $$
declare
    walled text;
begin
    foreach walled in array array['desk_uses', 'ticket_holds', 'ticket_skips', 'saved_views'] loop
        execute format('alter table %I enable row level security', walled);
        execute format('alter table %I force row level security', walled);
        execute format('create policy loop_works on %I to churn_loop, churn_owner using (true) with check (true)', walled);
    end loop;
    -- what a person did: their own, the lead that of the team, a manager all
    foreach walled in array array['desk_uses', 'ticket_skips'] loop
        execute format(
            'create policy desk_reads on %1$I for select to churn_desk
             using (exists (
                 select 1 from staff as author
                 where author.staff_id = %1$I.staff_id and desk_sees(author.team, author.staff_id)
             ))', walled
        );
    end loop;
end
$$;
create policy desk_skips on ticket_skips for insert to churn_desk
with check (
    staff_id = desk_staff_id() and exists (select 1 from tickets where tickets.ticket_id = ticket_skips.ticket_id)
);
create policy desk_works on ticket_holds to churn_desk
using (exists (select 1 from tickets where tickets.ticket_id = ticket_holds.ticket_id))
with check (
    staff_id = desk_staff_id() and exists (select 1 from tickets where tickets.ticket_id = ticket_holds.ticket_id)
);
create policy desk_keeps on saved_views to churn_desk
using (staff_id = desk_staff_id()) with check (staff_id = desk_staff_id());

create function record_use(of_kind text, of_ticket bigint, at timestamptz, at_most integer) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    me bigint := (select staff_id from staff where staff_id = desk_staff_id() and is_active);
begin
    if me is null then
        raise exception 'Nobody said who works in this transaction.' using errcode = 'insufficient_privilege';
    end if;
    -- one at a time a person: two browsers cannot both take the last of the day
    perform pg_advisory_xact_lock(hashtextextended('desk_uses ' || me, 0));
    if at_most <= (
        select count(*) from desk_uses
        where staff_id = me and kind = of_kind and day = cast(at at time zone 'Asia/Shanghai' as date)
    ) then
        return false;
    end if;
    insert into desk_uses (staff_id, ticket_id, kind, used_at) values (me, of_ticket, of_kind, at);
    return true;
end
$$;
comment on function record_use is
'records a use of the person who works, unless the day already has at_most of its kind; says whether it did';

create function use_phone(of_kind text, of_ticket bigint, at timestamptz, at_most integer)
returns table (msisdn text, is_over boolean)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if of_kind not in ('reveal', 'call') then
        raise exception 'A number is revealed or called, not ''%''.', of_kind using errcode = 'check_violation';
    end if;
    select p.msisdn into msisdn
    from ticket_phones as p
    inner join tickets as t on p.ticket_id = t.ticket_id
    where
        t.ticket_id = of_ticket and t.state in ('assigned', 'in_progress', 'paused') and t.frozen_at is null
        and desk_sees(t.team, t.assignee_id);
    if not found then
        return; -- no number to give, so no use
    end if;
    is_over := not record_use(of_kind, of_ticket, at, at_most);
    if is_over then
        msisdn := null;
    end if;
    return next;
end
$$;
comment on function use_phone is
'the number of a ticket in work the person sees, its use recorded by the same call; beyond at_most a day no number';

create function masked_phone(of_ticket bigint) returns text
language sql stable security definer set search_path = public, pg_temp
begin atomic
    select case when length(p.msisdn) >= 9 then left(p.msisdn, 3) || '****' || right(p.msisdn, 4) else '****' end
    from ticket_phones as p
    inner join tickets as t on p.ticket_id = t.ticket_id
    where t.ticket_id = of_ticket and desk_sees(t.team, t.assignee_id);
end;
comment on function masked_phone is 'the number of a ticket the person sees with its middle hidden; null without one';

create function find_by_number(digits text, at timestamptz, at_most integer)
returns table (ticket_id bigint, is_over boolean)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if digits !~ '^\d{4}$' and digits !~ '^\d{7,11}$' then
        raise exception 'A number is searched by its last 4 digits or whole.' using errcode = 'check_violation';
    end if;
    if not record_use('search', null, at, at_most) then
        return query select null::bigint, true;
        return;
    end if;
    return query
    select found.ticket_id, false
    from (
        -- two statements rather than one condition: each has its index
        select p.ticket_id from ticket_phones as p where length(digits) = 4 and right(p.msisdn, 4) = digits
        union all
        select p.ticket_id from ticket_phones as p where length(digits) > 4 and right(p.msisdn, 11) = digits
    ) as found
    inner join tickets as t on found.ticket_id = t.ticket_id
    where desk_sees(t.team, t.assignee_id)
    order by found.ticket_id desc
    limit 60;
end
$$;
comment on function find_by_number is
'the newest tickets the person sees with that number or its last 4 digits, the search recorded; beyond at_most a day none';

revoke execute on function record_use, use_phone, masked_phone, find_by_number from public;
grant execute on function record_use, use_phone, masked_phone, find_by_number to churn_desk;

-- ---------------------------------------------------------------- the board
-- Figures over a month's tickets with row-level security asked per row would cost seconds: these views ask once who
-- looks, and show that person the rows `desk_sees` would (a lead the team's, a manager all); an agent none.

create view board_tickets with (security_barrier) as
select
    t.ticket_id, t.campaign, t.cycle, t.team, t.branch_code, t.region_code, t.grade, t.tier, t.state, t.outcome,
    t.assignee_id, t.released_at, t.closed_at, w.cluster,
    (
        select p.strategy from retention_plans as p
        where p.ticket_id = t.ticket_id
        order by p.recorded_at desc, p.plan_id desc limit 1
    ) as strategy
from staff as me
inner join tickets as t on me.role = 'manager' or (me.role = 'lead' and me.team = t.team)
left join warnings as w
    on t.campaign = w.campaign and t.cycle = w.cycle and w.revision = 0 and t.subscriber_id = w.subscriber_id
where me.staff_id = desk_staff_id() and me.is_active and not t.is_recalled and t.merged_into is null;
comment on view board_tickets is
'one row per ticket a lead or manager may see, neither recalled nor merged; names nobody';

create function board_work(of_campaign text, of_cycles text [])
returns table (
    cycle text, team text, assignee_id bigint, state text, outcome text, released_at timestamptz, is_contacted boolean,
    is_answered boolean, is_planned boolean, is_processed boolean, is_completed boolean
)
language sql stable security definer set search_path = public, pg_temp set work_mem = '64MB'
begin atomic
    with seen as materialized (
        select t.ticket_id, t.cycle, t.team, t.assignee_id, t.state, t.outcome, t.released_at
        from staff as me
        inner join tickets as t on me.role = 'manager' or (me.role = 'lead' and me.team = t.team)
        where
            me.staff_id = desk_staff_id() and me.is_active and not t.is_recalled and t.merged_into is null
            and t.campaign = of_campaign and t.cycle = any(of_cycles)
    ),

    -- a cycle's tickets are numbered in a row: what hangs on them is read from there to there, not from the beginning
    span as materialized (select min(ticket_id) as first, max(ticket_id) as last from seen),

    contacted as materialized (
        select tried.ticket_id, bool_or(tried.result <> 'no_answer') as is_answered
        from (
            select a.ticket_id, a.result
            from contact_attempts as a
            where a.ticket_id between (select first from span) and (select last from span)
            union all
            -- what was done on a ticket merged into another counts for that one
            select f.merged_into, a.result
            from tickets as f
            inner join contact_attempts as a on f.ticket_id = a.ticket_id
            where f.merged_into between (select first from span) and (select last from span)
        ) as tried
        group by tried.ticket_id
    ),

    planned as materialized (
        select distinct p.ticket_id
        from retention_plans as p
        where p.ticket_id between (select first from span) and (select last from span)
    ),

    processed as materialized (
        select p.ticket_id, bool_or(p.result = 'done') as is_completed
        from plan_processings as p
        where p.ticket_id between (select first from span) and (select last from span)
        group by p.ticket_id
    )

    select
        s.cycle, s.team, s.assignee_id, s.state, s.outcome, s.released_at, c.ticket_id is not null,
        coalesce(c.is_answered, false), p.ticket_id is not null, d.ticket_id is not null, coalesce(d.is_completed, false)
    from seen as s
    left join contacted as c on s.ticket_id = c.ticket_id
    left join planned as p on s.ticket_id = p.ticket_id
    left join processed as d on s.ticket_id = d.ticket_id;
end;
comment on function board_work is
'the tickets of board_tickets of some cycles with how far work on each has come, read in one pass';

create function board_verdicts(of_campaign text, of_cycle text, at timestamptz)
returns table (team text, assignee_id bigint, clock text, verdict text)
language sql stable security definer set search_path = public, pg_temp set work_mem = '64MB'
begin atomic
    with seen as materialized (
        select t.ticket_id, t.team, t.assignee_id
        from staff as me
        inner join tickets as t on me.role = 'manager' or (me.role = 'lead' and me.team = t.team)
        where
            me.staff_id = desk_staff_id() and me.is_active and not t.is_recalled and t.merged_into is null
            and t.campaign = of_campaign and t.cycle = of_cycle
    ),

    span as materialized (select min(ticket_id) as first, max(ticket_id) as last from seen)

    select
        s.team, s.assignee_id, k.clock,
        case
            when k.breached_at is not null or (k.met_at is null and k.voided_at is null and k.due_at < at)
                then 'breached'
            when k.met_at is not null then 'on_time'
            when k.voided_at is not null then 'void'
            else 'open'
        end
    from seen as s
    inner join ticket_clocks as k on s.ticket_id = k.ticket_id
    where k.ticket_id between (select first from span) and (select last from span);
end;
comment on function board_verdicts is
'what became of each service clock of the tickets of board_tickets of a cycle; a deadline passed is breached';
revoke execute on function board_work, board_verdicts from public;
grant execute on function board_work, board_verdicts to churn_desk;

-- how many a dispatch held out, and which deadlines have passed, without reading the rest
create index dispatch_decisions_counted on dispatch_decisions (campaign, cycle, decision, team);
-- (not of every running clock: the watcher's statements would take it for theirs)
create index ticket_clocks_breached on ticket_clocks (due_at)
where met_at is null and voided_at is null and breached_at is not null;

create view board_clocks with (security_barrier) as
select
    k.ticket_id, k.clock, k.round, k.due_at, k.met_at, k.voided_at, k.breached_at, t.campaign, t.cycle, t.team,
    t.assignee_id, t.state
from staff as me
inner join tickets as t on me.role = 'manager' or (me.role = 'lead' and me.team = t.team)
inner join ticket_clocks as k on t.ticket_id = k.ticket_id
where me.staff_id = desk_staff_id() and me.is_active and not t.is_recalled and t.merged_into is null;
comment on view board_clocks is 'one row per service clock of the tickets of board_tickets';

create view board_decisions with (security_barrier) as
select d.campaign, d.cycle, d.team, d.decision, count(*) as subscribers
from staff as me
inner join dispatch_decisions as d on me.role = 'manager' or (me.role = 'lead' and me.team = d.team)
where me.staff_id = desk_staff_id() and me.is_active
group by d.campaign, d.cycle, d.team, d.decision;
comment on view board_decisions is 'how many each dispatch decided about how, per team: a lead''s own, a manager all';

create view board_warnings with (security_barrier) as
select w.campaign, w.cycle, w.grade, w.tier, count(*) as subscribers
from staff as me
inner join warnings as w on me.role in ('lead', 'manager') and w.revision = 0
where me.staff_id = desk_staff_id() and me.is_active
group by w.campaign, w.cycle, w.grade, w.tier;
comment on view board_warnings is 'how many a cycle warns of, by grade and tier, over all teams; for leads and managers';

create view board_outreach with (security_barrier) as
select o.campaign, o.cycle, o.decision, o.channel, count(*) as subscribers
from staff as me
inner join outreach_items as o on me.role in ('lead', 'manager')
where me.staff_id = desk_staff_id() and me.is_active
group by o.campaign, o.cycle, o.decision, o.channel;
comment on view board_outreach is 'how many of the secondary tier were listed for SMS or app, held out or left out; for leads and managers';

create view board_stages with (security_barrier) as
select s.campaign, s.cycle, s.stage, max(s.finished_at) as finished_at
from stage_runs as s
group by s.campaign, s.cycle, s.stage;
comment on view board_stages is 'when each stage of a cycle last finished';

grant select on board_tickets, board_clocks, board_decisions, board_warnings, board_outreach, board_stages to churn_desk;
-- feeds, files and counts name nobody
grant select on deliveries, quarantine_summary to churn_desk;
grant select (name, ticked_at) on heartbeats to churn_desk;


-- ---------------------------------------------------------------- idempotency keys of the JSON API

create table idempotency_keys (
    staff_id bigint not null references staff,
    key text not null check (length(key) between 1 and 200),
    request_sha256 text not null check (length(request_sha256) = 64),
    ticket_id bigint not null references tickets,
    version integer not null,
    recorded_at timestamptz not null,
    primary key (staff_id, key)
);
create index idempotency_keys_by_time on idempotency_keys (staff_id, recorded_at);
create index idempotency_keys_by_ticket on idempotency_keys (ticket_id);
comment on table idempotency_keys is
'one row per write a program sent under a key of its own: what was asked (as a hash) and the version it left; kept seven days';
alter table idempotency_keys enable row level security;
alter table idempotency_keys force row level security;
create policy loop_works on idempotency_keys to churn_loop, churn_owner using (true) with check (true);
create policy desk_keeps on idempotency_keys to churn_desk
using (staff_id = desk_staff_id()) with check (staff_id = desk_staff_id());
grant select, delete on idempotency_keys to churn_loop;
grant select, insert, delete on idempotency_keys to churn_desk;

-- ---------------------------------------------------------------- what makes the queue quick
-- Who looks is asked once a statement: each sub-select below is worked out once, and what is left are comparisons
-- an index can serve. `desk_sees` says the same of one row at a time.

create function desk_is_manager() returns boolean language sql stable
return exists (select 1 from staff as me where me.staff_id = desk_staff_id() and me.is_active and me.role = 'manager');
comment on function desk_is_manager is 'whether a manager works in this transaction';

create function desk_led_team() returns text language sql stable
return (select me.team from staff as me where me.staff_id = desk_staff_id() and me.is_active and me.role = 'lead');
comment on function desk_led_team is 'the team of the lead who works in this transaction; null for anybody else';

create function desk_agent_id() returns bigint language sql stable
return (select me.staff_id from staff as me where me.staff_id = desk_staff_id() and me.is_active and me.role = 'agent');
comment on function desk_agent_id is 'the agent who works in this transaction; null for anybody else';

create function desk_agent_team() returns text language sql stable
return (select me.team from staff as me where me.staff_id = desk_staff_id() and me.is_active and me.role = 'agent');
comment on function desk_agent_team is 'the team of the agent who works in this transaction; null for anybody else';

alter policy desk_works on tickets using (
    (select desk_is_manager())
    or team = (select desk_led_team())
    or assignee_id = (select desk_agent_id())
    or (assignee_id is null and team = (select desk_agent_team()))
);

alter table tickets add column due_at timestamptz;
comment on column tickets.due_at is
'deadline of the running plan clock, null when none runs; kept by the clocks, so that the queue is read in its order';
create function running_due_at(of_ticket bigint) returns timestamptz language sql stable
return (
    select max(k.due_at) from ticket_clocks as k
    where k.ticket_id = of_ticket and k.clock = 'plan' and k.met_at is null and k.voided_at is null
);
comment on function running_due_at is 'deadline of the running plan clock of a ticket';

update tickets set due_at = running_due_at(ticket_id);

create function start_due_at() returns trigger language plpgsql security definer
set search_path = public, pg_temp as $$
begin
    update tickets as t set due_at = running_due_at(t.ticket_id)
    where t.ticket_id in (select c.ticket_id from changed_clocks as c where c.clock = 'plan');
    return null;
end
$$;
create trigger ticket_clocks_starting after insert on ticket_clocks
referencing new table as changed_clocks for each statement execute function start_due_at();

create function move_due_at() returns trigger language plpgsql security definer
set search_path = public, pg_temp as $$
begin
    -- the watcher's stamps leave the tickets alone
    update tickets as t set due_at = running_due_at(t.ticket_id)
    where t.ticket_id in (
        select c.ticket_id from changed_clocks as c
        inner join former_clocks as f on c.ticket_id = f.ticket_id and c.clock = f.clock and c.round = f.round
        where
            c.clock = 'plan'
            and (c.due_at, c.met_at, c.voided_at) is distinct from (f.due_at, f.met_at, f.voided_at)
    );
    return null;
end
$$;
create trigger ticket_clocks_moving after update on ticket_clocks
referencing old table as former_clocks new table as changed_clocks
for each statement execute function move_due_at();

create index tickets_queue_of_person on tickets (assignee_id, coalesce(due_at, 'infinity'), ticket_id)
where state in ('assigned', 'in_progress', 'paused');
create index tickets_queue_of_nobody on tickets (team, coalesce(due_at, 'infinity'), ticket_id)
where state in ('assigned', 'in_progress', 'paused') and assignee_id is null;
create index tickets_queue_of_team on tickets (team, coalesce(due_at, 'infinity'), ticket_id)
where state in ('assigned', 'in_progress', 'paused');
create index tickets_queue_of_all on tickets (coalesce(due_at, 'infinity'), ticket_id)
where state in ('assigned', 'in_progress', 'paused');
create index tickets_queue_waiting on tickets (coalesce(due_at, 'infinity'), ticket_id) where state = 'waiting';
create index tickets_finished_of_person on tickets (assignee_id, closed_at, ticket_id)
where state in ('closed', 'cancelled', 'expired');
create index tickets_finished_of_nobody on tickets (team, closed_at, ticket_id)
where state in ('closed', 'cancelled', 'expired') and assignee_id is null;
create index tickets_finished_of_team on tickets (team, closed_at, ticket_id)
where state in ('closed', 'cancelled', 'expired');
create index tickets_finished_of_all on tickets (closed_at, ticket_id)
where state in ('closed', 'cancelled', 'expired');

-- further sections of the desk go above this line
reset role;
