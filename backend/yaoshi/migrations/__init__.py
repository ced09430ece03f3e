"""The history of the schema, one line of it, and the adoption of legacy files. Whoever upgrades holds the write lock.

Imports every room's models: the whole metadata.
"""

from yaoshi.accounts import models as _accounts
from yaoshi.audit import models as _audit
from yaoshi.codes import models as _codes
from yaoshi.core.db import Model
from yaoshi.keys import models as _keys
from yaoshi.limits import storage as _limits
from yaoshi.ops import installation as _installation
from yaoshi.outbox import models as _outbox
from yaoshi.sessions import models as _sessions

metadata = Model.metadata
TABLES = (
    _accounts.User,
    _audit.AuditEntry,
    _codes.Code,
    _keys.SigningKey,
    _limits.Counter,
    _installation.Mark,
    _outbox.Message,
    _sessions.LoginSession,
)
