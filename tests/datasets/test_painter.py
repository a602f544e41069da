import numpy as np
import pytest

from keras_uai.datasets.painter import Painter

WHITE = (255.0, 255.0, 255.0)


def painter(size=64, count=1, tilt=0.0, scale=1.0, shift_x=0.0, shift_y=0.0):
    pose = [np.full((count,), v, "float32") for v in (tilt, scale, shift_x, shift_y)]
    return Painter(size, *pose)


def area(painted):
    """Of the white part of the first image, in coordinates of shapes."""
    image = painted.images()[0, ..., 0] / 255.0
    return image.mean() * 4.0


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (0.7, 0.3), (0.2, 0.6)])
def test_an_ellipse_covers_its_area(size, a, b):
    painted = painter(size)
    painted.ellipse(0.1, -0.05, a, b, WHITE)
    assert abs(area(painted) - np.pi * a * b) < 0.02 * np.pi * a * b


def test_a_bent_stroke_goes_through_its_three_points():
    painted = painter(128)
    painted.arc(0.0, 0.0, 0.5, 0.25, 0.06, WHITE)
    image = painted.images()[0, ..., 0]

    def at(x, y):
        return image[int((y + 1) * 64), int((x + 1) * 64)]

    assert min(at(-0.49, 0.01), at(0.49, 0.01), at(0.0, 0.25)) == 255
    assert max(at(0.0, 0.0), at(0.0, -0.25), at(0.7, 0.0)) == 0


def test_pose_moves_what_is_painted():
    painted = painter(64, scale=2.0, shift_x=0.25, shift_y=-0.5)
    painted.ellipse(0.0, 0.0, 0.1, 0.1, WHITE)
    rows, columns = np.nonzero(painted.images()[0, ..., 0])
    assert abs(rows.mean() - 15.5) < 0.1
    assert abs(columns.mean() - 39.5) < 0.1
    assert abs(painted.images()[0, ..., 0].mean() / 255 * 4 - np.pi * 0.2**2) < 0.005
    quarter = painter(64, tilt=np.pi / 2)
    quarter.ellipse(0.5, 0.0, 0.1, 0.1, WHITE)
    rows, columns = np.nonzero(quarter.images()[0, ..., 0])
    assert abs(columns.mean() - 31.5) < 0.1
    assert abs(abs(rows.mean() - 31.5) - 16) < 0.1
