-- name: open_task
-- A problem charged to another unit, with its own deadline.
insert into linked_tasks (ticket_id, inbound_id, unit, words, opened_at, opened_by, due_at, is_provisional)
values (:task_ticket_id, :inbound_id, :unit, :words, :now, :staff_id, :due_at, :is_provisional)
returning task_id

-- name: lock_task
-- An unfinished or finished task of a ticket or of a talk a subscriber began.
select task_id, unit, due_at, done_at
from linked_tasks
where task_id = :task_id and (ticket_id = :task_ticket_id or inbound_id is not null and :task_ticket_id is null)
for update

-- name: finish_task
-- What the unit did, and when.
update linked_tasks
set done_at = :now, done_by = :staff_id, result = :result
where task_id = :task_id

-- name: read_inbound_tasks
-- The most urgent unfinished tasks of talks without a ticket, as far as the person may see them, and how many there are.
select
    k.task_id, k.unit, k.words, k.opened_at, k.due_at, k.is_provisional, c.campaign, c.subscriber_id,
    count(*) over () as of_all
from linked_tasks as k
inner join inbound_contacts as c on k.inbound_id = c.inbound_id
where k.done_at is null and k.inbound_id is not null
order by k.due_at, k.task_id
limit 50
