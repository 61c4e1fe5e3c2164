"""Simulated provinces as landing files. The loop neither imports this package nor reads its truth.

from include.simulator.walk import Order, simulate
from include.simulator.province import Province
simulate(Province(subscribers=20_000, months=8, seed=1), Path(".run/demo"))
"""
