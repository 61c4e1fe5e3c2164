-- Pools: the next ticket is given by rank, and how many a person had of a campaign's cycle is counted.
set local role churn_owner;

create index tickets_in_pool on tickets (team, campaign, cycle, rank)
where is_pool and assignee_id is null and state in ('assigned', 'in_progress');
create index ticket_events_claims on ticket_events (staff_id, ticket_id) where kind = 'claim';

create function count_pool_claims(of_campaign text, of_cycle text) returns bigint
language sql stable security definer set search_path = public, pg_temp
return (
    select count(distinct e.ticket_id)
    from ticket_events as e
    inner join tickets as t on e.ticket_id = t.ticket_id
    where
        e.staff_id = desk_staff_id() and e.kind = 'claim'
        and t.is_pool and t.campaign = of_campaign and t.cycle = of_cycle
);
comment on function count_pool_claims is
'how many tickets of the pool of a cycle who works in this transaction ever took, also those that are another''s by now';
revoke execute on function count_pool_claims from public;
grant execute on function count_pool_claims to churn_desk;

reset role;
