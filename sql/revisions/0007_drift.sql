-- Drift and ranking of factors.
set local role churn_owner;

create table factor_drift (
    campaign text not null,
    cycle text not null,
    subject text not null,
    baseline_month text not null check (baseline_month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
    psi double precision not null check (psi >= 0),
    coverage double precision not null check (coverage between 0 and 1),
    baseline_coverage double precision not null check (baseline_coverage between 0 and 1),
    level text not null check (level in ('stable', 'watch', 'shifted')),
    measured_at timestamptz not null,
    primary key (campaign, cycle, subject),
    foreign key (campaign, cycle) references cycles (campaign, cycle)
);
create index factor_drift_by_subject on factor_drift (campaign, subject, cycle);
comment on table factor_drift is 'one row per cycle and factor (or score): how far its distribution moved against the month before';

create table factor_rankings (
    campaign text not null,
    cycle text not null,
    cluster text not null,
    factor text not null,
    labelled_month text not null check (labelled_month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
    rank integer not null check (rank >= 1),
    information_value double precision not null check (information_value >= 0),
    mutual_information double precision not null check (mutual_information >= 0),
    measured_at timestamptz not null,
    primary key (campaign, cycle, cluster, factor),
    unique (campaign, cycle, cluster, rank),
    foreign key (campaign, cycle) references cycles (campaign, cycle)
);
create index factor_rankings_by_factor on factor_rankings (campaign, factor, cycle);
comment on table factor_rankings is 'one row per cycle, tenure cluster (or pooled) and factor: how much it tells about churn in the newest labelled month';

grant select, insert, update, delete on factor_drift, factor_rankings to churn_loop;

reset role;
