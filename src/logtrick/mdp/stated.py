"""What a dataclass was told, kept apart from what it shows.

Some fields are filled in from others, or shown changed because of them. A copy with other fields
must do so again from what was told. `dataclasses.replace` hands over what is shown; whatever of it
nobody changed is told apart by identity.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Told(NamedTuple):
    """Fields by name, as they were told and as they are shown."""

    told: Mapping[str, Any]
    shown: Mapping[str, Any]
    unread: Any = None
    """What was left out when the fields were read, because another field said so."""

    def has_changed(self, instance: Any, name: str) -> bool:
        """True where a field of `instance` is not the very object that was shown."""
        return name in self.shown and getattr(instance, name) is not self.shown[name]

    def recall(self, instance: Any) -> None:
        """Put back what was told for every field that was handed over as it was shown."""
        for name in self.told:
            if not self.has_changed(instance, name):
                object.__setattr__(instance, name, self.told[name])
