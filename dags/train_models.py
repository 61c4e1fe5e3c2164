"""### Train when a month is newly labelled

Started by the asset `labels`. Trains for the newest month that has factors, on every label known now; the
challenger becomes champion only where it is better. Several labelled months may start one run: nothing is
counted by events.
"""

from airflow.sdk import dag, task

from include.orchestration import DEFAULTS, LABELS, train_newest


@task
def training():
    """Train for the newest month on every label known now."""
    return train_newest()


@dag(
    schedule=[LABELS],
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["churn", "on labels"],
    dag_display_name="Train models 训练模型",
    doc_md=__doc__,
)
def train_models():
    """One task: train, and compare with the champion."""
    training()


train_models()
