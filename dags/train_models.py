"""### Train when a month is newly labelled

Started by the asset `labels`. Every campaign whose labels are new trains for the newest month that has factors, on
every label known now; the challenger becomes champion only where it is better. Several labelled months may start one
run: nothing is counted by events. What stops one campaign stops no other.
"""

from airflow.sdk import dag, task

from include.orchestration import DEFAULTS, LABELS, all_campaigns
from include.words import in_airflow


@task
def campaigns(triggering_asset_events=None):
    """The campaigns whose labels are new; all with a model, when a person started the run."""
    return all_campaigns.to_train((triggering_asset_events or {}).get(LABELS, ()))


@task(map_index_template="{{ task.op_kwargs['campaign'] }}")
def training(campaign: str):
    """Train for the newest month on every label known now."""
    return all_campaigns.train(campaign)


@dag(
    schedule=[LABELS],
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["churn", "on labels"],
    dag_display_name=in_airflow("dags.train_models"),
    doc_md=__doc__,
)
def train_models():
    """A task per campaign: train, and compare with the champion."""
    training.expand(campaign=campaigns())


train_models()
