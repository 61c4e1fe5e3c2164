-- What a dispatch asks of the past must not cost more with every cycle.
set local role churn_owner;

-- who was assigned lately is asked by number and by customer, for every warning and every assignment evaluated
create index assignments_by_customer on assignments (customer_key, campaign);

-- A month's warnings come at once and are joined with all that bars a customer within seconds: a server that still
-- takes them for a few would compare every one of them with everybody barred. Only a table's owner may analyze it.
create function analyze_warnings() returns void language plpgsql security definer set search_path = public, pg_temp as $$
begin
    analyze warnings;
end
$$;
comment on function analyze_warnings is 'tells the planner of the warnings just written';
revoke execute on function analyze_warnings from public;
grant execute on function analyze_warnings to churn_loop;

reset role;
