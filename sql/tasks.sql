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

-- name: read_tasks
-- The tasks of a ticket, and of those merged into it, with their state at an instant.
select
    k.task_id, k.ticket_id, k.unit, k.words, k.opened_at, k.due_at, k.is_provisional, k.done_at, k.result,
    case when k.done_at is not null then 'done' when k.due_at < :now then 'overdue' else 'open' end as state
from linked_tasks as k
inner join tickets as t on k.ticket_id = t.ticket_id
where t.ticket_id = :ticket_id or t.merged_into = :ticket_id
order by k.opened_at, k.task_id

-- name: notice_overdue_tasks
-- Tasks whose deadline passed unnoticed so far, each given once, with who opened it and the ticket's team.
update linked_tasks as k
set overdue_noticed_at = :now
from linked_tasks as late
left join tickets as t on late.ticket_id = t.ticket_id
where
    k.task_id = late.task_id
    and late.done_at is null and late.due_at < :now and late.overdue_noticed_at is null
returning
    k.task_id, k.ticket_id, k.inbound_id, k.unit, k.words, k.due_at, k.opened_by, t.team, t.assignee_id
