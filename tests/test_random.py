"""The generator against its authors' vectors and against a second implementation; its moments."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from keras import ops

from keras_uai import random, rng_streams

_KEYS = np.array(
    [[0, 0], [1, 0], [0, 1], [0x13198A2E, 0x03707344], [2**32 - 1, 2**32 - 1]], "uint32"
)


def threefry_2x32_20(key, counter):
    """Threefry-2x32 with 20 rounds in Python integers, from the paper of Salmon et al."""
    rotations = (13, 15, 26, 6, 17, 29, 16, 24)
    schedule = (*key, 0x1BD11BDA ^ key[0] ^ key[1])
    x = [(counter[i] + schedule[i]) % 2**32 for i in range(2)]
    for i in range(20):
        x[0] = (x[0] + x[1]) % 2**32
        by = rotations[i % 8]
        x[1] = ((x[1] << by | x[1] >> (32 - by)) % 2**32) ^ x[0]
        if i % 4 == 3:
            s = i // 4 + 1
            x[0] = (x[0] + schedule[s % 3]) % 2**32
            x[1] = (x[1] + schedule[(s + 1) % 3] + s) % 2**32
    return tuple(x)


def uint32(*values):
    return [ops.convert_to_tensor(np.array([v], "uint32")) for v in values]


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((2**32 - 1,) * 2, (2**32 - 1,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
    ids=["zeros", "ones", "pi"],
)
def test_known_answers_of_random123(key, counter, expected):
    x0, x1 = random._threefry(*uint32(*key), *uint32(*counter))
    assert (int(x0[0]), int(x1[0])) == expected
    assert threefry_2x32_20(key, counter) == expected


@pytest.mark.parametrize("shape", [(), (1,), (7,), (2, 3), (4, 4, 1)])
def test_bits_are_threefry_of_the_counters(shape):
    size = int(np.prod(shape))
    half = (size + 1) // 2
    drawn = np.array(random.bits(_KEYS, shape))
    assert drawn.shape == (5, *shape)
    assert drawn.dtype == np.uint32
    for key, row in zip(_KEYS.tolist(), drawn.reshape(5, size), strict=True):
        pairs = [threefry_2x32_20(key, (i, 0)) for i in range(half)]
        assert row.tolist() == [*(p[0] for p in pairs), *(p[1] for p in pairs)][:size]


def test_a_key_is_its_seed_and_then_one_threefry_a_step_of_the_path():
    assert np.array(random.key(5)).tolist() == [5, 0]
    assert np.array(random.key(3 + 7 * 2**32)).tolist() == [3, 7]
    assert np.array(random.key(-1)).tolist() == [2**32 - 1] * 2
    for data in (0, 9, 3_000_000_000, 2**32 - 1):
        expected = threefry_2x32_20((5, 0), (data, 0))
        assert tuple(np.array(random.key(5, data))) == expected
    twice = threefry_2x32_20(threefry_2x32_20((5, 0), (9, 0)), (2, 0))
    assert tuple(np.array(random.key(5, 9, 2))) == twice


def test_tensors_become_batches_of_keys():
    seeds, path = np.array([0, 5, 2**31 - 1]), np.array([[4], [8]])
    keys = np.array(random.key(seeds, path))
    assert keys.shape == (2, 3, 2)
    for i, data in enumerate(path[:, 0]):
        for j, seed in enumerate(seeds):
            assert keys[i, j].tolist() == np.array(random.key(int(seed), int(data))).tolist()
    assert np.array(random.key(1, tf.range(4))).tolist() == [
        list(threefry_2x32_20((1, 0), (i, 0))) for i in range(4)
    ]


def test_errors():
    with pytest.raises(TypeError, match=r"Received: seed=1\.5"):
        random.key(1.5)
    with pytest.raises(ValueError, match="Received: data=1099511627776"):
        random.key(0, 2**40)
    for bound in (0, -1, 2**25):
        with pytest.raises(ValueError, match=f"Received: bound={bound}"):
            random.integers(_KEYS, (2,), bound)


def test_uniform_is_uniform():
    u = np.array(random.uniform(random.key(1, np.arange(200)), (1000,)), "float64")
    assert u.min() >= 0
    assert u.max() < 1
    assert scipy.stats.kstest(u.ravel(), "uniform").pvalue > 1e-3
    standard_error = 1 / np.sqrt(12 * u.size)
    assert abs(u.mean() - 0.5) < 4 * standard_error
    # also across keys at one place, and between neighbours along both axes
    assert scipy.stats.kstest(u[:, 0], "uniform").pvalue > 1e-3
    for a, b in ((u[1:], u[:-1]), (u[:, 1:], u[:, :-1]), (u[:, :500], u[:, 500:])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size)


def test_normal_is_normal():
    n = np.array(random.normal(random.key(2, np.arange(100)), (2001,)), "float64")
    assert n.shape == (100, 2001)
    assert np.isfinite(n).all()
    assert scipy.stats.kstest(n.ravel(), "norm").pvalue > 1e-3
    count = n.size
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((n**power).mean() - moment) < 4 * np.sqrt(variance / count)
    # the two numbers of a Box-Muller pair: neither they nor their squares are correlated
    first, second = n[:, :1000], n[:, 1001:2001]
    for a, b in ((first, second), (first**2, second**2)):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size)


def test_normal_is_box_muller_of_uniform():
    u = np.array(random.uniform(_KEYS, (2, 3)), "float64")
    radius = np.sqrt(-2 * np.log(1 - u[:, 0]))
    expected = np.concatenate(
        [radius * np.cos(2 * np.pi * u[:, 1]), radius * np.sin(2 * np.pi * u[:, 1])], 1
    )
    np.testing.assert_allclose(np.array(random.normal(_KEYS, (6,))), expected, atol=2e-6)


def test_integers_are_uniform_and_below_their_bound(monkeypatch):
    drawn = np.array(random.integers(random.key(3, np.arange(50)), (1000,), 7))
    assert scipy.stats.chisquare(np.bincount(drawn.ravel(), minlength=7)).pvalue > 1e-3
    assert drawn.max() == 6
    # the greatest uniform there is, times a bound, must not round up to the bound
    monkeypatch.setattr(random, "uniform", lambda keys, shape: ops.full((1,), 1 - 2.0**-24))
    for bound in (*range(1, 100), 2047, 2048, 2049, 99_999, 2**24 - 1, 2**24):
        assert int(random.integers(_KEYS, (), bound)[0]) == bound - 1


# -- at positions -----------------------------------------------------------------------------------


def positions(rows, columns):
    return np.array(rows, "int32")[None, :, None], np.array(columns, "int32")[None, None, :]


def test_bits_at_are_threefry_of_the_coordinates():
    rows, columns = [-1, 0, 7], [0, 3, 2**31 - 1, -5]
    drawn = np.stack([np.array(v) for v in random.bits_at(_KEYS, *positions(rows, columns))], -1)
    assert drawn.shape == (5, 3, 4, 2)
    for n, key in enumerate(_KEYS.tolist()):
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                counter = (row % 2**32, column % 2**32)
                assert tuple(drawn[n, i, j]) == threefry_2x32_20(key, counter)


def test_numbers_at_positions_are_those_of_the_bits():
    at = positions(range(40), range(30))
    first, second = (np.array(v, "uint32") >> 8 for v in random.bits_at(_KEYS, *at))
    np.testing.assert_array_equal(random.uniform_at(_KEYS, *at), first * np.float32(2**-24))
    radius, angle = np.sqrt(-2 * np.log(1 - first / 2**24)), 2 * np.pi * second / 2**24
    cosine, sine = random.normal_at(_KEYS, *at)
    np.testing.assert_allclose(cosine, radius * np.cos(angle), atol=2e-6)
    np.testing.assert_allclose(sine, radius * np.sin(angle), atol=2e-6)


@pytest.mark.parametrize("draw", [random.bits_at, random.normal_at])
def test_a_window_of_each_image_is_a_crop_of_the_whole(draw):
    whole = draw(_KEYS, *positions(range(12), range(9)))
    first = np.array([0, 3, 5, 1, 7])
    rows, columns = positions(range(4), range(2))
    crops = draw(_KEYS, rows + first[:, None, None], columns + first[::-1, None, None])
    for field, crop in zip(whole, crops, strict=True):
        for i, top in enumerate(first):
            left = first[4 - i]
            expected = np.array(field)[i, top : top + 4, left : left + 2]
            np.testing.assert_array_equal(np.array(crop)[i], expected)


# -- as functions of a key ---------------------------------------------------------------------------


def test_streams_differ_and_keep_their_numbers():
    """The values of 0.1: another one would give every seed other masks and samples."""
    streams = {n: v for n, v in vars(rng_streams).items() if n.isupper()}
    assert len(set(streams.values())) == len(streams)
    names = "MASK_TILDE Z Z_SECOND Z_TILDE SPLIT SPLIT_RATIO Z_DIVERSITY FLIP IMPUTER SPLIT_CHOICE"
    names += " SPLIT_BY_MEASUREMENT CONTEXT_DROPOUT"
    assert [streams[name] for name in names.split()] == list(range(12))
    pinned = {
        "SPLIT_PIXELS": b"TH",
        "TRAINING": b"TRA",
        "EVALUATION": b"EVL",
        "SAMPLE": b"SAM",
        "STRATIFIED_MASK": b"LOOK",
        "CALIBRATION": b"HIDE",
        "HOLDOUT": b"HOLD",
    }
    assert {name: streams[name].to_bytes(len(v), "big") for name, v in pinned.items()} == pinned


@pytest.mark.parametrize("draw", [random.bits, random.uniform, random.normal])
def test_a_key_draws_the_same_in_any_batch(draw):
    keys = random.key(4, np.arange(6))
    together = np.array(draw(keys, (3, 5)))
    order = [5, 0, 3]
    np.testing.assert_array_equal(
        np.array(draw(ops.take(keys, order, axis=0), (3, 5))), together[order]
    )
    for i in range(6):
        np.testing.assert_array_equal(np.array(draw(keys[i : i + 1], (3, 5))), together[i : i + 1])


@pytest.mark.parametrize("jit_compile", [False, True])
def test_graphs_draw_the_same_bits(jit_compile):
    def draw(index):
        keys = random.key(6, index)
        return random.bits(keys, (33,)), random.uniform(keys, (33,)), random.normal(keys, (33,))

    index = tf.range(5)
    *exact, normal = tf.function(draw, jit_compile=jit_compile)(index)
    *eager, eager_normal = draw(index)
    for a, b in zip(exact, eager, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(normal, eager_normal, atol=1e-5)  # log, cos and sin may differ
