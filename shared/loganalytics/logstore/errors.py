"""What the log store refuses, by name."""

from shared.kernel.errors import Category, OmsError


class FrameRefused(OmsError):
    """A frame that could not be read back: no table name, an empty key, two columns of one name."""

    code = "InvalidFrame"


class StagedBlobUnreadable(OmsError):
    """A staged blob that is not one of ours, or whose bytes are not those that were written."""

    category = Category.INTERNAL
    code = "StagedBlobUnreadable"


class TailLimitExceeded(OmsError):
    """Compaction lags behind so far that more records would make queries slow: the sender keeps them and comes again."""

    category = Category.THROTTLED
    code = "IngestionVolumeRateLimit"


class CommitUnresolved(OmsError):
    """Storage did not answer, so whether the records are durable is not known yet. Sending them again is right."""

    category = Category.UNAVAILABLE
    code = "ServiceUnavailable"


class SnapshotLost(OmsError):
    """Blobs of a snapshot are gone, although none is deleted while a query may still run."""

    category = Category.UNAVAILABLE
    code = "SnapshotLost"
