"""Types that the documents of registers are made of."""

from __future__ import annotations

from typing import Annotated

import msgspec

Line = Annotated[str, msgspec.Meta(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")]
"""One line of text."""
Prose = Annotated[str, msgspec.Meta(min_length=1, max_length=20_000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
"""Text in lines."""
Country = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2, as DE.")]
Mail = Annotated[str, msgspec.Meta(max_length=254, pattern=r"^[^@\s<>\"]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]*$")]
Link = Annotated[str, msgspec.Meta(max_length=500, pattern=r"^https://[^\s<>\"]+$")]
Host = Annotated[
    str,
    msgspec.Meta(
        max_length=253, pattern=r"^(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$",
        description="A host name or address in lower case; *.example.com stands for every name below.",
    ),
]  # fmt: skip
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$", description="SHA-256, in hex.")]
Months = Annotated[int, msgspec.Meta(ge=1, le=36)]
