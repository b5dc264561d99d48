"""What can go wrong between us and the service. Two sides, kept apart because they decide what a caller does next:

- `ServiceRefused`: the service understood the request and says no. The same request again gets the same answer.
- `ServiceUnavailable`: no answer that can be believed: connection, timeout, overload, nonsense. Try again later, or
  go the way that needs no service.
"""

from __future__ import annotations

from cohort_protocol.errors import CohortError, Conflict, InvalidInput, NotFound, Unavailable


class ServiceError(CohortError):
    """Base of every error of the service's HTTP client."""

    code = "service-error"


class ServiceUrlInvalid(ServiceError, InvalidInput):
    """The address of the service is not http(s)://host[:port][/path]."""

    code = "service-url-invalid"


class ServiceUnavailable(ServiceError, Unavailable):
    """The service does not answer, or not in time, or says that it is overloaded."""

    code = "service-unavailable"


class ServiceAnswerMalformed(ServiceUnavailable):
    """The service answered something that this protocol does not allow: wrong JSON, too large, about another project.
    Either it is another version or something else listens at that address."""

    code = "service-answer-malformed"


class ServiceRefused(ServiceError):
    """The service refuses, with a reason (RFC 9457). `code` is the reason's: "opening-wrong", "wrong-phase", ...

    `title` and `detail` are the service's words, cleaned of control characters and cut to 500 characters.
    """

    code = "service-refused"

    def __init__(self, code: str, title: str, detail: str, status: int) -> None:
        self.code = code
        self.title = title
        self.detail = detail
        self.status = status
        super().__init__(f"the service refuses ({code}, HTTP {status}): {detail or title}")


class ServiceNotFound(ServiceRefused, NotFound):
    """HTTP 404: the service does not know the named thing (it may not have indexed it yet)."""


class ServiceConflict(ServiceRefused, Conflict):
    """HTTP 409: the request contradicts what the service has recorded."""


def refusal(code: str, title: str, detail: str, status: int) -> ServiceRefused:
    """The error of the right type for an HTTP status 4xx."""
    kind = {404: ServiceNotFound, 409: ServiceConflict}.get(status, ServiceRefused)
    return kind(code, title, detail, status)
