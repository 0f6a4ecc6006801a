"""What can be wrong with a request that brings records, in the words of the protocol it came by."""

from shared.kernel.errors import Category, OmsError


class CollectorRefused(OmsError):
    """An error of the HTTP Data Collector API, answered as `{"Error": code, "Message": …}`.

    learn.microsoft.com/azure/azure-monitor/logs/data-collector-api#return-codes
    """


class InactiveCustomer(CollectorRefused):
    """The workspace is closed."""

    code = "InactiveCustomer"


class InvalidApiVersion(CollectorRefused):
    code = "InvalidApiVersion"


class InvalidCustomerId(CollectorRefused):
    code = "InvalidCustomerId"


class InvalidDataFormat(CollectorRefused):
    """The body is not what the protocol takes, or breaks one of its limits; the message says which."""

    code = "InvalidDataFormat"


class InvalidLogType(CollectorRefused):
    code = "InvalidLogType"


class MissingApiVersion(CollectorRefused):
    code = "MissingApiVersion"


class MissingContentType(CollectorRefused):
    code = "MissingContentType"


class MissingLogType(CollectorRefused):
    code = "MissingLogType"


class UnsupportedContentType(CollectorRefused):
    code = "UnsupportedContentType"


class InvalidAuthorization(CollectorRefused):
    category = Category.FORBIDDEN
    code = "InvalidAuthorization"


class PostTooLarge(CollectorRefused):
    """Over 30 MB. The protocol's answer is 404, not 413."""

    category = Category.NOT_FOUND
    code = "NotFound"


class QuotaExceeded(OmsError):
    """The workspace took its daily cap; ingestion resumes at its reset hour."""

    category = Category.THROTTLED
    code = "OverQuota"


class RuleNotFound(OmsError):
    category = Category.NOT_FOUND
    code = "NotFound"


class RuleAccessDenied(OmsError):
    """The caller may not send records through this data collection rule."""

    category = Category.FORBIDDEN
    code = "OperationFailed"


class InvalidStream(OmsError):
    """The rule has no such stream, or no table behind it."""

    code = "InvalidStream"


class InvalidRule(OmsError):
    """The data collection rule cannot be followed as it is written."""

    code = "InvalidDataCollectionRule"


class TransformNotSupported(OmsError):
    """A data flow's transformKql that is more than `source`, where no query can run."""

    code = "TransformNotSupported"


class InvalidPayload(OmsError):
    """The Logs Ingestion API takes a JSON array of objects."""

    code = "InvalidRequestPayload"


class ContentLengthLimitExceeded(OmsError):
    category = Category.TOO_LARGE
    code = "ContentLengthLimitExceeded"


class UnsupportedContentEncoding(OmsError):
    category = Category.UNSUPPORTED
    code = "UnsupportedContentEncoding"


class MissingApiVersionParameter(OmsError):
    code = "MissingApiVersionParameter"


class InvalidApiVersionParameter(OmsError):
    code = "InvalidApiVersionParameter"


class UnknownColumn(OmsError):
    """A record of our own names a column that its table does not have."""

    code = "UnknownColumn"
