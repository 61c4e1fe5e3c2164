-- Branches, rosters, capacity per team, recall and hand-over.
set local role churn_owner;

-- ---------------------------------------------------------------- branches

create table branches (
    branch_code text primary key,
    parent_code text references branches deferrable initially deferred,
    name text not null,
    region_code text,
    check (parent_code is distinct from branch_code)
);
create index branches_by_parent on branches (parent_code);
comment on table branches is
'one row per branch; its parent is the branch it reports to, so that a county office serves the shops below it';

create function branch_line(branch_code text) returns text [] language sql stable
return (
    with recursive line (branch_code, parent_code, depth) as (
        select b.branch_code, b.parent_code, 0
        from branches as b
        where b.branch_code = branch_line.branch_code
        union all
        select b.branch_code, b.parent_code, line.depth + 1
        from branches as b
        inner join line on b.branch_code = line.parent_code
        where line.depth < 20
    )
    select array_agg(line.branch_code order by line.depth) from line
);
comment on function branch_line is 'the branch and all it reports to, nearest first; null for an unknown branch';

-- ---------------------------------------------------------------- rosters

create table absences (
    staff_id bigint not null references staff,
    from_on date not null,
    until_on date not null,
    reason text,
    recorded_at timestamptz not null,
    recorded_by text not null,
    primary key (staff_id, from_on),
    check (from_on <= until_on)
);
comment on table absences is 'one row per leave of a person, first and last day included';

create table shifts (
    staff_id bigint not null references staff,
    day date not null,
    contacts integer check (contacts >= 0),
    primary key (staff_id, day)
);
comment on table shifts is
'one row per person and day on the roster; in a week with any row a person works on those days alone';

create function is_away(staff_id bigint, day date) returns boolean language sql stable
return
    not exists (select 1 from staff as s where s.staff_id = is_away.staff_id and s.is_active)
    or exists (
        select 1 from absences as a
        where a.staff_id = is_away.staff_id and is_away.day between a.from_on and a.until_on
    )
    or (
        exists (
            select 1 from shifts as w
            where
                w.staff_id = is_away.staff_id
                and date_trunc('week', w.day::timestamp) = date_trunc('week', is_away.day::timestamp)
        )
        and not exists (select 1 from shifts as w where w.staff_id = is_away.staff_id and w.day = is_away.day)
    );
comment on function is_away is
'whether the roster keeps a person from work on a day: left, on leave, or a rostered week without that day; knows no calendar';

create function is_on_duty(staff_id bigint, day date) returns boolean language sql stable
return
    not is_away(is_on_duty.staff_id, is_on_duty.day)
    and exists (select 1 from staff as s where s.staff_id = is_on_duty.staff_id and s.is_present)
    and (
        exists (select 1 from shifts as w where w.staff_id = is_on_duty.staff_id and w.day = is_on_duty.day)
        or coalesce(
            (select d.is_working from work_days as d where d.layer = 'cn' and d.date = is_on_duty.day),
            extract(isodow from is_on_duty.day) < 6
        )
    );
comment on function is_on_duty is
'whether a person works on a day: present, not away, and on the roster or else a working day of the national calendar';

-- ---------------------------------------------------------------- capacity per team, skill, recall

alter table tickets add column skill text;
alter table dispatch_decisions add column team text;
alter table assignments add column recalled_at timestamptz;
alter table assignments add constraint assignments_recalled check (recalled_at is null or is_recalled);
create index tickets_by_cycle on tickets (campaign, cycle, team) where not is_recalled;

-- ---------------------------------------------------------------- hand-over

create function retire_staff(staff_id bigint) returns boolean language plpgsql security definer
set search_path = public, pg_temp as $$
declare
    leaver staff;
begin
    select s.* into leaver from staff as s where s.staff_id = retire_staff.staff_id for update;
    if not exists (
        select 1 from staff as s
        where
            s.staff_id = desk_staff_id() and s.is_active and s.staff_id <> leaver.staff_id
            and (s.role = 'manager' or (s.role = 'lead' and s.team = leaver.team))
    ) then
        raise exception 'Only a manager or the lead of the team may end somebody''s work.'
            using errcode = 'insufficient_privilege';
    end if;
    update staff as s set is_active = false where s.staff_id = leaver.staff_id and s.is_active;
    return found;
end
$$;
comment on function retire_staff is 'the desk marks a person as left; only for a manager or the lead of the person''s team';
revoke execute on function retire_staff from public;
grant execute on function retire_staff to churn_desk, churn_loop;

create function refuse_left_assignee() returns trigger language plpgsql security definer
set search_path = public, pg_temp as $$
begin
    -- waits for a hand-over under way, so that nothing is given to somebody who is leaving
    perform from staff as s where s.staff_id = new.assignee_id and s.is_active for share;
    if not found then
        raise exception 'Staff % works here no longer; ticket % needs somebody else.', new.assignee_id, new.ticket_id
            using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end
$$;
create trigger tickets_assignee_is_active before update of assignee_id on tickets for each row
when (new.assignee_id is not null and new.assignee_id is distinct from old.assignee_id)
execute function refuse_left_assignee();

-- ---------------------------------------------------------------- rights

grant select, insert, update, delete on branches, absences, shifts to churn_loop;
grant select on branches, shifts to churn_desk;
grant select (staff_id, from_on, until_on) on absences to churn_desk; -- why is nobody's business

reset role;
