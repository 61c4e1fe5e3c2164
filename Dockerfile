# One image for every service of docker-compose.yaml: api-servers, scheduler, dag-processor, triggerer, worker, init.
FROM python:3.12-slim-bookworm

ENV AIRFLOW_HOME=/opt/airflow \
    PYTHONPATH=/opt/churn \
    PYTHONUNBUFFERED=1 \
    PYTHONUTF8=1

# An ordinary user owns what is written at run time; named volumes inherit this ownership when they are made
RUN useradd --uid 50000 --create-home --shell /usr/sbin/nologin churn \
    && install --directory --owner=churn --group=churn \
        /opt/airflow /opt/airflow/logs /opt/churn /data /data/lake /data/landing /data/config

# The lock is complete, so nothing is resolved here; only a changed lock makes this layer again
COPY requirements.txt /opt/churn/
RUN pip install --no-cache-dir --no-deps --compile --requirement /opt/churn/requirements.txt

COPY include/ /opt/churn/include/
COPY sql/ /opt/churn/sql/
COPY plugins/ /opt/churn/plugins/
COPY dags/ /opt/churn/dags/

USER churn
WORKDIR /opt/churn
CMD ["airflow", "version"]
