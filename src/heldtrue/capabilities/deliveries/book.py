"""What endpoints' settings and secrets open to, kept for a minute beside the sealed bytes that they came from."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime, timedelta
from uuid import UUID

from heldtrue.capabilities.deliveries import endpoints, store
from heldtrue.capabilities.deliveries.endpoint_model import Config
from heldtrue.capabilities.deliveries.signatures import Ready
from heldtrue.crypto.guarded import Guarded
from heldtrue.op import Operation

SIZE = 4096
MAX_AGE = timedelta(minutes=1)
"""As long as a tenant key is remembered (`heldtrue.crypto.keyring.KeyCache`)."""


class Book(Guarded):
    """Opened endpoints, for all threads of a process. What was replaced in the database is opened anew."""

    __slots__ = ("_lock", "_pages")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pages: OrderedDict[UUID, tuple[datetime, bytes, bytes, Config, Ready]] = OrderedDict()

    def open(self, op: Operation, row: store.EndpointRow) -> tuple[Config, Ready]:
        """Return what *row*'s owner wrote, and what its deliveries are signed with."""
        with self._lock:
            found = self._pages.get(row.endpoint_id)
        if found is not None:
            since, config_sealed, secrets_sealed, config, ready = found
            same = config_sealed == row.config_sealed and secrets_sealed == row.secrets_sealed
            if same and timedelta() <= op.now - since < MAX_AGE:
                return config, ready
        config, ready = endpoints.config_of(op, row), Ready(endpoints.secrets_of(op, row))
        with self._lock:
            self._pages[row.endpoint_id] = (op.now, row.config_sealed, row.secrets_sealed, config, ready)
            self._pages.move_to_end(row.endpoint_id)
            while len(self._pages) > SIZE:
                self._pages.popitem(last=False)
        return config, ready
