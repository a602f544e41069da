"""The page on which one paints a hole and sees what it may be filled with (tools/demo, extra `demo`).

`filling` is the work, free of widgets; `page` is the widgets; `examples` draws what to start with.
"""
