"""Example images: photographs and drawn faces, or the first images of the user's folder."""

import glob
import os

from keras_uai import files

COUNT = 5
FACE_SIZE = 256  # pixels


def write(folder, source=None, count=COUNT):
    """Writes examples as PNG files.

    Args:
        folder: Where to write them.
        source: Folder of images, of which the first `count` by name are taken. None: drawn faces
            and photographs of scikit-image.
        count: Number of examples.

    Returns:
        List of the paths.

    Raises:
        ValueError: if `source` holds no image, or one that cannot be read.
    """
    images = (_own() if source is None else _of_folder(source, count))[:count]
    paths = [os.path.join(folder, f"example_{i + 1}.png") for i in range(len(images))]
    for (pixels, alpha), path in zip(images, paths, strict=True):
        files.write_image(path, files.to_channels(files.to_uint8(pixels), 3), alpha)
    return paths


def _own():
    """Returns faces that no preset was trained on, and photographs of scikit-image."""
    from skimage import data

    from keras_uai.datasets import drawn_faces

    first = drawn_faces.COUNT  # the data set ends before these
    faces = drawn_faces.draw(range(first, first + 2), FACE_SIZE)
    photographs = [data.chelsea(), data.coffee(), data.astronaut()]
    return [(image, None) for image in (*faces, *photographs)]


def _of_folder(source, count):
    names = sorted(glob.glob("**", root_dir=source, recursive=True))
    names = [name for name in names if name.lower().endswith(files.EXTENSIONS)][:count]
    if not names:
        raise ValueError(
            "A folder of examples must hold images (PNG, JPEG, WebP, TIFF). Without --examples, "
            f"the page brings its own. Received: {source!r}"
        )
    images = []
    for name in names:
        try:
            images.append(files.decode_image(os.path.join(source, name)))
        except files.UnreadableImageError as error:
            raise ValueError(f"An example cannot be read. Received: {name}: {error}") from error
    return images
