import numpy as np
import pytest

from keras_uai.datasets import drawn_faces
from keras_uai.datasets.drawn_faces import FACTORS, DrawnFacesSource, Painter
from keras_uai.datasets.geometry import resize
from keras_uai.datasets.sources import Preparation
from keras_uai.files import to_channels


@pytest.fixture(scope="module")
def faces():
    """Factors and images of 1,500 faces."""
    indices = np.arange(1500)
    return drawn_faces.factors(indices), drawn_faces.draw(indices, 32).astype("float64")


def test_a_face_is_a_function_of_its_index():
    some = drawn_faces.draw([3, 700, 9_999_999], 32)
    assert some.shape == (3, 32, 32, 3)
    assert some.dtype == np.uint8
    assert np.array_equal(drawn_faces.draw(np.arange(1000), 32)[[3, 700]], some[:2])
    assert len(np.unique(drawn_faces.draw(np.arange(500), 32), axis=0)) == 500
    assert drawn_faces.draw([], 32).shape == (0, 32, 32, 3)


def test_the_faces_never_change():
    """Pinned: trained models and published numbers depend on these faces."""
    found = drawn_faces.factors([0, 1, 2])
    assert [found[name].tolist() for name in FACTORS] == [
        [1, 2, 1],
        [2, 1, 3],
        [1, 4, 5],
        [0, 0, 2],
        [1, 1, 0],
        [2, 0, 0],
        [0, 0, 2],
        [1, 3, 0],
    ]
    assert np.allclose(found["tilt"], [0.157437, 0.109450, -0.075977], atol=1e-6)
    images = drawn_faces.draw([0, 1, 2], 32).astype("float64")
    assert np.allclose(images.mean(axis=(1, 2, 3)), [166.74, 133.32, 176.76], atol=0.02)
    row = [[147, 204, 175], [226, 184, 156], [244, 199, 169], [92, 75, 64], [244, 199, 169]]
    assert np.abs(images[0, 16, :20:4] - row).max() <= 1


def test_the_same_face_at_every_size():
    for size in (64, 128):
        small = drawn_faces.draw(np.arange(20), 32).astype("float64")
        large = np.stack([resize(image, 32, 32) for image in drawn_faces.draw(np.arange(20), size)])
        assert np.abs(small - large).mean() < 4
        assert all(
            np.corrcoef(a.flat, b.flat)[0, 1] > 0.98 for a, b in zip(small, large, strict=True)
        )


def test_factors_have_the_shares_they_say(faces):
    found, _ = faces
    assert set(found) == {*FACTORS, *drawn_faces.POSE}
    for name, values in FACTORS.items():
        shares = np.full(len(values), 1 / len(values))
        if name == "eyes":
            shares = np.array([0.75, 0.25])
        counts = np.bincount(found[name], minlength=len(values))
        expected = shares * 1500
        chi_square = ((counts - expected) ** 2 / expected).sum()
        assert chi_square < 25, (name, counts)  # at most 5 degrees of freedom: p < 2e-4
    for name, (low, high) in drawn_faces.POSE.items():
        assert low <= found[name].min() < found[name].max() < high


def test_factors_are_independent(faces):
    """Nothing but the eyes tells the colour of the eyes, nothing but the mouth the mouth."""
    found, _ = faces
    names = list(FACTORS)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            table = np.zeros((len(FACTORS[one]), len(FACTORS[other])))
            np.add.at(table, (found[one], found[other]), 1)
            expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
            chi_square = ((table - expected) ** 2 / expected).sum()
            degrees = (table.shape[0] - 1) * (table.shape[1] - 1)
            assert chi_square < degrees + 5 * np.sqrt(2 * degrees), (one, other)


@pytest.mark.parametrize(
    ("factor", "given", "rows", "inside", "outside"),
    [
        ("mouth", {}, slice(18, 28), 6.0, 1.5),
        ("eyes", {}, slice(11, 21), 6.0, 1.5),
        ("eye_color", {"eyes": 0}, slice(11, 21), 3.0, 1.5),
        ("gaze", {"eyes": 0}, slice(11, 21), 2.0, 1.5),
    ],
)
def test_a_factor_shows_where_it_is_and_nowhere_else(faces, factor, given, rows, inside, outside):
    """The difference of the mean images of two values, in units of its standard error."""
    found, images = faces
    chosen = np.ones(1500, bool)
    for name, value in given.items():
        chosen &= found[name] == value
    groups = [images[chosen & (found[factor] == value)] for value in (0, len(FACTORS[factor]) - 1)]
    error = np.sqrt(sum(group.var(axis=0) / len(group) for group in groups)) + 1e-9
    z = np.abs(groups[0].mean(axis=0) - groups[1].mean(axis=0)) / error
    elsewhere = np.delete(z, rows, axis=0)
    assert np.sort(z[rows].flat)[-10:].mean() > inside
    assert elsewhere.mean() < outside


def test_source():
    source = DrawnFacesSource(Preparation())
    assert source.size == 10_000
    assert (source.pixels_per_image(), source.preparation.channels) == (32 * 32, 3)
    assert not source.has_masks
    assert np.array_equal(source.decode([(4, None), (5, None)])[1][0], drawn_faces.draw([5], 32)[0])
    gray = DrawnFacesSource(Preparation(image_size=64, channels=1))
    expected = to_channels(drawn_faces.draw([5], 64)[0], 1)
    assert np.array_equal(gray.decode([(5, None)])[0][0], expected)
    assert gray.fingerprint() != source.fingerprint()


# -- shapes ----------------------------------------------------------------------------------------

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
