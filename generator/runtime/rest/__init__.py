"""The runtime of a REST client.

`_names` and `models` stand in for generated modules, with sample values. The sync half of a client is derived from the
modules whose names start with `_async`, see `generator/unasync.py`.
"""
