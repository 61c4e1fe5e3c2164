import numpy as np

from include.simulator.draws import Draws

ROWS = np.arange(50_000, dtype=np.int64)


def test_a_draw_hangs_on_nobody_else():
    draws = Draws(1, 0)
    assert draws.uniform("x", 3, ROWS)[777] == draws.uniform("x", 3, ROWS[777:778])[0]


def test_every_part_of_the_address_matters():
    first = Draws(1, 0).uniform("x", 3, ROWS)
    others = [Draws(2, 0).uniform("x", 3, ROWS), Draws(1, 1).uniform("x", 3, ROWS)]
    others += [Draws(1, 0).uniform("y", 3, ROWS), Draws(1, 0).uniform("x", 4, ROWS)]
    assert all(abs(np.corrcoef(first, other)[0, 1]) < 0.02 for other in others)


def test_draws_have_the_moments_they_promise():
    draws = Draws(1, 0)
    assert abs(draws.uniform("x", 0, ROWS).mean() - 0.5) < 0.01
    normal = draws.normal("x", 0, ROWS)
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02
    assert abs(draws.poisson("x", 0, ROWS, np.full(len(ROWS), 0.7)).mean() - 0.7) < 0.02


def test_a_higher_mean_only_adds_events():
    low = Draws(1, 0).poisson("x", 0, ROWS, np.full(len(ROWS), 0.2))
    high = Draws(1, 0).poisson("x", 0, ROWS, np.full(len(ROWS), 0.4))
    assert (high >= low).all()
    assert high.sum() > low.sum()
