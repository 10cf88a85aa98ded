"""Bots on many machines, over NATS JetStream. Install `connectycube[fleet]`."""

from connectycube._extras import missing_extra

try:
    import nats as _nats
except ModuleNotFoundError as error:
    raise missing_extra("fleet", error) from error

del _nats
