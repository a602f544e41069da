"""Images to start with: drawn faces, or the first images of a folder of the user's own."""

import glob
import os

from PIL import Image

from keras_uai.datasets import drawn_faces, imagefile

COUNT = 5
SIZE = 256  # of drawn faces, in pixels
_FIRST = drawn_faces.COUNT  # faces that no model was trained on: the data set ends before them


def write(folder, source=None, count=COUNT):
    """Writes examples as PNG files.

    Args:
        folder: where to.
        source: a folder of images, of which the first `count` by name are taken; None draws faces.
        count: how many.

    Returns:
        list of the files' paths.

    Raises:
        ValueError: `source` holds no image.
    """
    os.makedirs(folder, exist_ok=True)
    if source is None:
        faces = drawn_faces.draw(range(_FIRST, _FIRST + count), SIZE)
        images = [Image.fromarray(face) for face in faces]
    else:
        images = _of_folder(source, count)
    paths = [os.path.join(folder, f"example_{i + 1}.png") for i in range(len(images))]
    for image, path in zip(images, paths, strict=True):
        image.save(path)
    return paths


def _of_folder(source, count):
    names = sorted(glob.glob("**", root_dir=source, recursive=True))
    names = [name for name in names if name.lower().endswith(imagefile.EXTENSIONS)][:count]
    if not names:
        raise ValueError(
            "A folder of examples holds images (PNG, JPEG, WebP); leave --examples out for drawn "
            f"faces. Received: {source!r}"
        )
    images = []
    for name in names:
        try:
            pixels, alpha = imagefile.decode(os.path.join(source, name))
        except imagefile.UnreadableImageError as error:
            raise ValueError(f"This example cannot be read. Received: {name}: {error}") from error
        image = Image.fromarray(imagefile.to_channels(pixels, 3))
        if alpha is not None:
            image.putalpha(Image.fromarray(alpha))
        images.append(image)
    return images
