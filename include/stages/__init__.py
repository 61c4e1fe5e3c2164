"""The stages of the loop, one word each; none reads the clock, opens a connection or knows Airflow."""

import os

# Fits share the cores with other tasks: a waiting OpenMP thread must sleep, not spin. Read when XGBoost loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
