"""Images with classes, from the files that people have them in: checked before memory is taken.

`idx` reads the format of MNIST, `arrays` NumPy's, `pictures` folders of images by class; `source`
finds out which of them a path is.
"""

from xent.training._data.source import Images, read_images

__all__ = ["Images", "read_images"]
