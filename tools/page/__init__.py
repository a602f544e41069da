"""The page of tools/demo (extra `demo`): paint a hole into an image and see several reconstructions.

`filling` does the work, without widgets. `widgets` lays out the page. `examples` makes the first images.
"""
