-- Nobody writes in another's name, frees other people's money or unfixes a cycle.

-- ---------------------------------------------------------------- temporary tables
-- Stages make them; nobody else may. The functions below look into them last.
do $$
begin
    execute format('revoke temporary on database %I from public', current_database());
    execute format('grant temporary on database %I to churn_owner, churn_loop', current_database());
end
$$;

set local role churn_owner;

-- ---------------------------------------------------------------- a cycle stays fixed

create function refuse_unfixing() returns trigger language plpgsql set search_path = public, pg_temp as $$
begin
    if (to_jsonb(new) - 'dispatch_summary') is distinct from (to_jsonb(old) - 'dispatch_summary') then
        raise exception 'The cycle is fixed since its first dispatch; only its summary changes.'
            using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end
$$;
create trigger cycles_stay_fixed before update on cycles for each row
when (old.fixed_at is not null) execute function refuse_unfixing();

create function refuse_change_of_fixed_revision() returns trigger language plpgsql
set search_path = public, pg_temp as $$
begin
    if exists (
        select 1 from cycles as c
        where c.campaign = old.campaign and c.cycle = old.cycle and c.fixed_at is not null
    ) then
        raise exception 'The cycle is fixed since its first dispatch; a re-run writes a revision.'
            using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end
$$;
create trigger cycle_revisions_stay_fixed before update on cycle_revisions for each row
when (old.revision = 0) execute function refuse_change_of_fixed_revision();

create or replace function retire_warnings(before text) returns bigint language plpgsql
security definer set search_path = public, pg_temp as $$
declare
    -- whoever calls says what month it is: one in the future shortens nothing
    oldest_kept text := to_char((now() at time zone 'Asia/Shanghai') - interval '180 days', 'YYYY-MM');
    found_rows bigint;
begin
    perform set_config('app.reducing', 'on', true);
    delete from warnings using cycles
    where
        warnings.campaign = cycles.campaign and warnings.cycle = cycles.cycle
        and cycles.month < least(before, oldest_kept);
    get diagnostics found_rows = row_count;
    perform set_config('app.reducing', '', true);
    return found_rows;
end
$$;
comment on function retire_warnings is
'removes the warnings of cycles before a month at least 180 days back, of fixed ones as well; returns how many';

create function forget_evaluations(of_campaign text, of_cycle text, of_revision integer) returns bigint
language sql security definer set search_path = public, pg_temp
begin atomic
    with gone as (
        delete from evaluations as e
        where e.campaign = of_campaign and e.cycle = of_cycle and e.revision = of_revision
        returning 1
    )

    select count(*) from gone;
end;
comment on function forget_evaluations is
'makes room for the figures of a cycle''s revision, which are written anew as a whole; returns how many there were';
grant execute on function forget_evaluations to churn_loop;

-- what is decided, observed or recorded once: the loop adds to it, and changes what a column is named for
revoke update, delete on
arms, assignments, configurations, contact_attempts, cycle_revisions, cycles, evaluations, inbound_contacts, linked_tasks,
needs_surveys, outcomes, plan_processings, refusals, retention_plans, subscriber_arms
from churn_loop;
grant update (as_of, config_hash, fixed_at, fixed_facts, dispatch_summary) on cycles to churn_loop;
grant update (as_of, config_hash, comparison) on cycle_revisions to churn_loop;
grant update (evidence, evidence_sha256, is_recalled, recalled_at) on assignments to churn_loop;
grant update (month_observed, has_churned, churned_on, reason, observed_at) on outcomes to churn_loop;
grant update (note) on contact_attempts, needs_surveys, retention_plans, plan_processings to churn_loop;
grant update (said, done) on inbound_contacts to churn_loop;
-- a refusal the desk heard under another writing counts from the last time it was said
grant update (words, refused_at) on refusals to churn_loop;
grant update (words, result, done_at, done_by, overdue_noticed_at) on linked_tasks to churn_loop;
-- a warning is graded anew as a whole: one moved into a fixed cycle would be none of those it was fixed with
revoke update on warnings, ticket_phones, stage_runs from churn_loop;
revoke delete on branches, models, staff, ticket_clocks, tickets from churn_loop;

-- ---------------------------------------------------------------- lapsed money

create or replace function release_lapsed_budget(on_day date, at timestamptz, of_pots bigint []) returns bigint
language sql volatile security definer set search_path = public, pg_temp as $$
    -- the same money is freed once, however many see that an offer has lapsed
    select 1 from budget_pots where pot_id = any(of_pots) order by pot_id for update;
    with lapsed as (
        insert into budget_movements (plan_id, pot_id, kind, amount_yuan, cause, moved_at)
        select o.plan_id, o.pot_id, 'released', o.amount_yuan, 'lapsed', at
        from budget_open as o
        inner join tickets as t on o.ticket_id = t.ticket_id
        where
            -- whoever calls says what day it is: one in the future frees nothing
            o.valid_until < least(on_day, cast(now() at time zone 'Asia/Shanghai' as date))
            and t.state = 'closed' and o.pot_id = any(of_pots)
        returning plan_id
    )
    select count(*) from lapsed
$$;

-- ---------------------------------------------------------------- everybody signs with their own name

alter table audit_log enable row level security;
alter table audit_log force row level security;
create policy loop_works on audit_log to churn_loop, churn_owner using (true) with check (true);
create policy desk_signs on audit_log for insert to churn_desk
with check (
    exists (
        select 1 from staff as me
        where me.staff_id = desk_staff_id() and me.is_active and me.staff_code = audit_log.actor
    )
);
create policy desk_signs on ticket_events as restrictive for insert to churn_desk
with check (
    exists (
        select 1 from staff as me
        where
            me.staff_id = desk_staff_id() and me.staff_id = ticket_events.staff_id
            and me.staff_code = ticket_events.actor
    )
);
do $$
declare
    signed text;
begin
    foreach signed in array array['contact_attempts', 'needs_surveys', 'retention_plans', 'plan_processings'] loop
        execute format(
            'create policy desk_signs on %I as restrictive for insert to churn_desk
             with check (staff_id = desk_staff_id())', signed
        );
    end loop;
end
$$;
create policy desk_signs on linked_tasks as restrictive for insert to churn_desk
with check (opened_by = desk_staff_id() and (done_by is null or done_by = desk_staff_id()));
create policy desk_signs_done on linked_tasks as restrictive for update to churn_desk
using (true) with check (done_by = desk_staff_id());

-- ---------------------------------------------------------------- functions

-- A function finds its tables in public, whatever temporary ones the session has. One parsed when it was made that
-- names no table has nothing to be led astray by, and is left to be inlined.
do $$
declare
    own regprocedure;
begin
    for own in
        select p.oid from pg_proc as p
        where
            p.pronamespace = 'public'::regnamespace and p.proowner = 'churn_owner'::regrole
            and 'search_path=public, pg_temp' <> all(coalesce(p.proconfig, '{}'))
            and (
                p.prosqlbody is null or exists (
                    select 1 from pg_depend as d
                    where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.refclassid = 'pg_class'::regclass
                )
            )
    loop
        execute format('alter function %s set search_path = public, pg_temp', own);
    end loop;
    for own in
        select p.oid from pg_proc as p
        where p.pronamespace = 'public'::regnamespace and p.proowner = 'churn_owner'::regrole
    loop
        execute format('revoke execute on function %s from public', own);
    end loop;
end
$$;
alter default privileges revoke execute on functions from public;
-- what policies, views and statements ask as the one who looks
grant execute on function
desk_staff_id, desk_sees, desk_is_manager, desk_led_team, desk_agent_id, desk_agent_team
to churn_desk;
grant execute on function branch_line, is_away to churn_loop, churn_desk;
grant execute on function is_on_duty to churn_loop;

reset role;

-- ---------------------------------------------------------------- what made this database

create table revision_texts (
    revision text primary key,
    sha256 text not null check (length(sha256) = 64),
    recorded_at timestamptz not null default now()
);
comment on table revision_texts is 'one row per revision of this database: the hash of the text it was made by';
grant select on revision_texts to churn_loop, churn_desk;
