"""The JSON Schema of what a transform is given, as it ships: `message.schema.json` beside this file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("message.schema.json")
SCHEMA: dict[str, Any] = json.loads(PATH.read_text("utf-8"))
