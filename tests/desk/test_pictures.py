"""The pictures of the documentation: their names say what they show, their files are small and keep rare colours."""

import numpy as np
import pytest

from include.domain.errors import BadInput
from tests.desk.pictures import Picture, as_png, every_picture


def test_a_picture_is_found_again_by_its_name():
    assert [Picture.named(each.name) for each in every_picture()] == every_picture()


@pytest.mark.parametrize("name", ["queue.png", "queue-en-light-400.png", "queue-fr-light-390.png"])
def test_a_name_that_is_no_picture_is_refused(name):
    with pytest.raises(BadInput, match=name):
        Picture.named(name)


def test_a_rare_colour_is_not_lost_to_the_many_greys_of_letters():
    pixels = np.repeat(np.arange(256, dtype=np.uint8), 300).reshape(256, 300, 1).repeat(3, axis=2)
    pixels[0, 0] = (143, 220, 174)
    palette = as_png(pixels).split(b"PLTE", 1)[1]
    assert bytes((143, 220, 174)) in palette[: 3 * 256]
