-- What came of an assignment by the measure of its campaign: whether it was a success, beside whether they left.
set local role churn_owner;

alter table outcomes
add has_succeeded boolean,
alter has_churned drop not null,
add constraint outcomes_left_only_where_known check (has_churned is not null or churned_on is null);
-- until now there was one campaign, and it succeeds where somebody stays
update outcomes set has_succeeded = not has_churned;
grant update (has_succeeded) on outcomes to churn_loop;
comment on table outcomes is
'one row per assignment of which leaving or success is known: what really happened within the horizon';
comment on column outcomes.month_observed is 'the month in which the horizon ends';
comment on column outcomes.has_churned is 'left within the horizon; null where leaving is not known, or not delivered at all';
comment on column outcomes.has_succeeded is 'success by its campaign; null while, or where, nobody can know';

alter table cycles add known_on date;
grant update (known_on) on cycles to churn_loop;
comment on column cycles.known_on is 'the day from which on its success can be known, as far as deliveries tell';
-- a cycle stays fixed, but of it more becomes known
create or replace function refuse_unfixing() returns trigger language plpgsql set search_path = public, pg_temp as $$
declare
    told constant text [] := array['dispatch_summary', 'known_on'];
begin
    if (to_jsonb(new) - told) is distinct from (to_jsonb(old) - told) then
        raise exception
            'The cycle is fixed since its first dispatch; only its summary and the day its success is known change.'
            using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end
$$;

reset role;
