"""Hypothesis strategies: good image files, and what becomes of files."""

import copy
import io

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from keras_uai import files

#: Modes of Pillow that each format keeps; "16" stands for colours of 16 bits, which Pillow lacks.
MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F", "16"),
    "BMP": ("1", "L", "P", "RGB"),
    "GIF": ("L", "P"),
}
SIXTEEN = {"PNG": ".png", "TIFF": ".tif"}
COMPRESSIONS = (None, "tiff_lzw", "tiff_adobe_deflate", "packbits")


@st.composite
def image_files(draw, formats=tuple(MODES)):
    """The bytes of a small image in any format, mode and bit depth."""
    kind = draw(st.sampled_from(formats))
    mode = draw(st.sampled_from(MODES[kind]))
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    if mode == "16":
        pixels = rng.integers(0, 65536, (height, width, 3)).astype("uint16")
        alpha = draw(st.sampled_from((None, pixels[..., 0].astype("uint8"))))
        return files.encode_image(pixels, SIXTEEN[kind], alpha)
    if mode in ("F", "I;16"):
        values = rng.integers(0, 65536, (height, width))
        image = Image.fromarray(values.astype("float32" if mode == "F" else "uint16"))
    else:
        bands = Image.new(mode, (1, 1)).getbands()
        shape = (height, width, len(bands))
        values = rng.integers(0, 256, shape).astype("uint8")
        image = Image.frombytes("L" if len(bands) == 1 else mode, (width, height), values.tobytes())
        image = image.convert(mode)
    options = {}
    if kind == "TIFF" and mode != "1":
        options = {"compression": draw(st.sampled_from(COMPRESSIONS))}
    if kind == "WEBP":
        options = {"lossless": draw(st.booleans())}
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@st.composite
def damaged(draw, good):
    """A good file with bytes changed, left out or inserted; half of it hits the header."""
    data = bytearray(draw(good))
    for _ in range(draw(st.integers(0, 3))):
        end = draw(st.sampled_from((min(40, len(data)), len(data))))
        at = draw(st.integers(0, end))
        kind = draw(st.sampled_from(("change", "cut", "insert", "remove")))
        if kind == "cut":
            del data[at:]
        elif kind == "remove":
            del data[at : at + draw(st.integers(1, 9))]
        else:
            new = draw(st.binary(min_size=1, max_size=6))
            data[at : at + (len(new) if kind == "change" else 0)] = new
    return bytes(data)


#: Any small JSON value.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 70) | st.floats() | st.text(max_size=3),
    lambda part: (
        st.lists(part, max_size=2) | st.dictionaries(st.text(max_size=2), part, max_size=2)
    ),
    max_leaves=3,
)


@st.composite
def edited(draw, value):
    """A JSON object with one of its parts, however deep, removed or replaced."""
    value = part = copy.deepcopy(value)
    while True:
        key = draw(st.sampled_from(sorted(part) if isinstance(part, dict) else range(len(part))))
        if not (isinstance(part[key], (dict, list)) and part[key] and draw(st.booleans())):
            break
        part = part[key]
    if draw(st.booleans()):
        part[key] = draw(JSON)
    else:
        del part[key]
    return value


DTYPES = ("?", "u1", "u2", "f4", "i1", "i2", "i4", "u8", "f2", "f8", "c8", "S3", "U2", "O", "M8[s]")
CHANNELS = st.sampled_from((1, 2, 3, 4))
SHAPES = st.lists(st.sampled_from((0, 1, 3, 4, 9)), max_size=5)


@st.composite
def arrays(draw, shapes=SHAPES):
    """An array of any dtype and of few values, some of them not finite or masked."""
    dtype = draw(st.sampled_from(DTYPES[:4]) | st.sampled_from(DTYPES))
    shape = draw(shapes)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    values = rng.choice(draw(st.sampled_from(((0, 1), (0, 255), (-1, 0.5), range(70)))), shape)
    values = np.asarray(values).astype(dtype)
    if values.dtype.kind == "f":
        wrong = draw(st.sampled_from((np.nan, np.nan, np.inf, 0)))
        values = np.where(rng.random(shape) < 0.2, values.dtype.type(wrong), values)
    if draw(st.booleans()):
        values = np.ma.array(values, mask=rng.random(shape) < 0.2)
    return values


@st.composite
def images_and_masks(draw, channels=CHANNELS):
    """An array of images and one of masks or None; mostly of shapes that fit."""
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    shape = (*shape, draw(channels))
    of_masks = (shape, shape[:3], (*shape[:3], 1), shape[1:3], (1, *shape[1:3]))
    one_in_five = st.sampled_from((False, False, False, False, True))
    images = arrays(SHAPES if draw(one_in_five) else st.sampled_from((shape, shape[1:])))
    masks = arrays(SHAPES if draw(one_in_five) else st.sampled_from(of_masks))
    return draw(images), draw(st.none() | masks)


def attempt(function, *arguments, says=("Received: ",)):
    """The result of a call, or None where it is refused with a message that holds `says`."""
    try:
        return function(*arguments)
    except (ValueError, OSError) as error:
        message = str(error)
    assert all(str(words) in message for words in says), message
    return None
