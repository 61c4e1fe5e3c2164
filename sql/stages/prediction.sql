-- name: champions
-- Per cluster the champion at an instant: the last one promoted that was knowable then.
-- One that learned from the month it would score is passed over, unless it left out-of-fold scores of it.
select distinct on (models.cluster)
    models.cluster,
    models.model_version,
    models.kind,
    models.trained_for,
    models.window_months,
    models.sha256,
    models.base_rate
from models
where
    models.campaign = :campaign
    and models.promoted_at is not null
    and models.as_of <= :as_of
    and (not :month = any(models.window_months) or models.trained_for = :month)
order by models.cluster asc, models.as_of desc, models.promoted_at desc, models.model_version asc;
