"""### Train when a month is newly labelled

Started by the asset `labels`. Trains for the newest month that has factors, on every label known now; the
challenger becomes champion only where it is better. Several labelled months may start one run: nothing is counted
by events.
"""

from airflow.sdk import dag, task

from include import orchestration
from include.orchestration import DEFAULTS, LABELS, right_now, run_stage


@task
def training():
    from include.stages import training

    return run_stage(training.train, month=orchestration.newest_month(), as_of=right_now())


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
    training()


train_models()
