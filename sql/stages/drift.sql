-- name: delete_drift
-- Make room for the drift of a cycle that is measured again.
delete from factor_drift
where campaign = :campaign and cycle = :cycle

-- name: delete_ranking
-- Make room for the ranking of a cycle that is measured again.
delete from factor_rankings
where campaign = :campaign and cycle = :cycle

-- name: insert_drift
-- How far every factor and the score moved against the month before.
insert into factor_drift (
    campaign, cycle, subject, baseline_month, psi, coverage, baseline_coverage, level, measured_at
)
select
    :campaign,
    :cycle,
    r.subject,
    :baseline,
    r.psi,
    r.coverage,
    r.baseline_coverage,
    r.level,
    :now
from jsonb_to_recordset(cast(:rows as jsonb)) as r (
    subject text,
    psi double precision,
    coverage double precision,
    baseline_coverage double precision,
    level text
)

-- name: insert_ranking
-- How much every factor tells about churn, over everybody and by tenure cluster.
insert into factor_rankings (
    campaign,
    cycle,
    cluster,
    factor,
    labelled_month,
    rank,
    information_value,
    mutual_information,
    measured_at
)
select
    :campaign,
    :cycle,
    r.cluster,
    r.factor,
    :known,
    r.rank,
    r.information_value,
    r.mutual_information,
    :now
from jsonb_to_recordset(cast(:rows as jsonb)) as r (
    cluster text,
    factor text,
    rank integer,
    information_value double precision,
    mutual_information double precision
)
