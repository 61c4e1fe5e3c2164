-- name: current_deliveries
-- Every delivery that stands, with the fingerprint it is known by.
select
    feed,
    period,
    fingerprint
from deliveries
where is_current;

-- name: kept_deliveries
-- Every delivery of rows that stands and whose month of the lake was not retired.
select
    deliveries.feed,
    deliveries.period
from deliveries
where
    deliveries.is_current and deliveries.rows_accepted > 0
    and not exists (
        select 1 from retentions
        where
            retentions.what = 'lake.' || deliveries.feed
            and retentions.before = left(deliveries.period, 7)
    )
order by deliveries.feed, deliveries.period;

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

-- name: record_cleared
-- Values of one file that were not taken for one column and reason; their rows were.
insert into cleared_values (delivery_id, file, column_name, reason, rows, first_line)
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

-- name: month_totals_by_feed
-- The same for each feed.
select
    feed,
    sum(rows_read)::bigint as rows_read,
    sum(rows_accepted)::bigint as rows_accepted,
    sum(rows_quarantined)::bigint as rows_quarantined
from deliveries
where is_current and left(period, 7) = :month
group by feed
order by feed;

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

-- name: cleared_of_month
-- The values not taken from the deliveries that stand for a month, the most first.
select
    deliveries.feed,
    deliveries.period,
    cleared_values.file,
    cleared_values.column_name,
    cleared_values.reason,
    cleared_values.rows,
    cleared_values.first_line
from cleared_values
inner join deliveries on cleared_values.delivery_id = deliveries.delivery_id
where deliveries.is_current and left(deliveries.period, 7) = :month
order by
    cleared_values.rows desc,
    deliveries.feed,
    deliveries.period,
    cleared_values.file,
    cleared_values.column_name,
    cleared_values.reason;

-- name: unmeasured
-- The deliveries that stand and hold people, and have not been held against the profiles or were by fewer of them.
select
    feed,
    period
from deliveries
where
    is_current and feed = any(cast(:feeds as text []))
    and (ids is null or left(period, 7) = any(cast(:months as text [])))
order by feed, period;

-- name: record_known
-- How many people a delivery names, and how many of them occur in a profile.
update deliveries
set ids = :ids, ids_known = :known
where is_current and feed = :feed and period = :period;

-- name: audit_carried_over
-- A lake of earlier days was brought up to date.
insert into audit_log (happened_at, actor, action, subject, details)
values (:now, 'upgrade', :action, 'lake', cast(:details as jsonb));

-- name: campaign_of_before
-- The campaign the database began with: the only one while a lake kept the scores of one alone.
select campaign
from cycles
order by opened_at, campaign
limit 1

-- name: gaps_in_force
-- The files, by what they held, that a person decided to go on without.
select
    feed,
    period,
    file,
    fingerprint
from approved_gaps
where superseded_at is null;

-- name: approve_gap
-- A person goes on without a file, or with a delivery as it is; decided again, the newer word counts.
insert into approved_gaps (
    feed, period, file, fingerprint, rows_left_out, approved_by, because, approved_at
)
values (:feed, :period, :file, :fingerprint, :rows_left_out, :by, :because, :now)
on conflict (feed, period, file, fingerprint) do update set
    approved_by = excluded.approved_by,
    because = excluded.because,
    approved_at = excluded.approved_at,
    superseded_at = null;

-- name: audit_gap
-- Who decided it, where nobody can take it back.
insert into audit_log (happened_at, actor, action, subject, details)
values (
    :now, :by, 'go_on_without', concat_ws('/', :feed, :period, nullif(:file, '')),
    jsonb_build_object('fingerprint', :fingerprint, 'because', :because)
);

-- name: supersede_gaps
-- A delivery was collected without the help of these decisions.
update approved_gaps
set superseded_at = :now
where
    feed = :feed and left(period, length(:period)) = :period and superseded_at is null
    and (period <> :period or not file = any(cast(:kept as text [])));

-- name: gaps_of_month
-- What a month goes on without, and who decided it.
select
    feed,
    period,
    file,
    rows_left_out as rows,
    approved_by as by,
    because,
    approved_at as at
from approved_gaps
where superseded_at is null and left(period, 7) = :month
order by feed, period, file;
