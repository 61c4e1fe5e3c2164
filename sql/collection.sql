-- name: current_deliveries
-- Every delivery that stands, with the fingerprint it is known by.
select
    feed,
    period,
    fingerprint
from deliveries
where is_current;

-- name: current_delivery
-- The delivery of a feed and period that stands, or that of its whole month.
select
    delivery_id,
    period,
    fingerprint,
    rows_read,
    rows_accepted,
    rows_quarantined
from deliveries
where feed = :feed and period in (:period, :month) and is_current
order by length(period)
limit 1;

-- name: retire_deliveries
-- The delivery that stands for a feed and period gives way; a month's also retires its days'.
update deliveries
set is_current = false
where feed = :feed and is_current and left(period, length(:period)) = :period;

-- name: record_delivery
-- A delivery now stands in the lake, reconciled.
insert into deliveries (
    feed, period, fingerprint, files, rows_read, rows_accepted, rows_quarantined,
    is_complete, run_id, collected_at
)
values (
    :feed, :period, :fingerprint, :files, :rows_read, :rows_accepted, :rows_quarantined,
    :is_complete, :run_id, :collected_at
)
returning delivery_id;

-- name: record_quarantine
-- Rows of one file put aside for one column and reason.
insert into quarantine_summary (delivery_id, file, column_name, reason, rows, first_line)
values (:delivery_id, :file, :column, :reason, :rows, :first_line);

-- name: month_totals
-- What the deliveries that stand brought for a month.
select
    count(*) as deliveries,
    coalesce(sum(rows_read), 0)::bigint as rows_read,
    coalesce(sum(rows_accepted), 0)::bigint as rows_accepted,
    coalesce(sum(rows_quarantined), 0)::bigint as rows_quarantined
from deliveries
where is_current and left(period, 7) = :month;

-- name: quarantine_of_month
-- What was put aside from the deliveries that stand for a month, the most rows first.
select
    deliveries.feed,
    deliveries.period,
    quarantine_summary.file,
    quarantine_summary.column_name,
    quarantine_summary.reason,
    quarantine_summary.rows,
    quarantine_summary.first_line
from quarantine_summary
inner join deliveries on quarantine_summary.delivery_id = deliveries.delivery_id
where deliveries.is_current and left(deliveries.period, 7) = :month
order by
    quarantine_summary.rows desc,
    deliveries.feed,
    deliveries.period,
    quarantine_summary.file,
    quarantine_summary.column_name,
    quarantine_summary.reason;
