"""The page of tools/demo (extra `demo`): paint a hole and see several reconstructions.

`filling` does the work, without widgets. `widgets` lays out the page. `examples` makes the first
images.
"""
