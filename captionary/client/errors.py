"""The errors of the client.

schemas.errors.CaptionaryError
+-- ServiceProblem        the service responded with a problem: status, detail, request_id
|   +-- Busy              it has too much to do, also after some retries: retry_after
+-- Unreachable           no response came
+-- UnexpectedResponse    a response came that no service of this release gives
+-- JobUnfinished         a job is still at work when the time to wait is over: job
schemas.errors.WrongInput    an argument cannot be sent
"""

from captionary.schemas.bodies import JobBody
from captionary.schemas.errors import CaptionaryError


class ServiceProblem(CaptionaryError):
    """The service responded with an error (RFC 9457).

    status:     HTTP status code.
    detail:     in one line, what is wrong and what to do.
    request_id: what to search the service's log for.
    """

    def __init__(self, status: int, detail: str, request_id: str) -> None:
        super().__init__(f"{detail} (status {status}, request {request_id or 'without id'})")
        self.status = status
        self.detail = detail
        self.request_id = request_id


class Busy(ServiceProblem):
    """The service has too much to do (429, 503).

    retry_after: seconds after which to try again, as the service says; None: it does not say.
    """

    def __init__(
        self, status: int, detail: str, request_id: str, retry_after: float | None
    ) -> None:
        super().__init__(status, detail, request_id)
        self.retry_after = retry_after


class Unreachable(CaptionaryError):
    """No response came: wrong address, no service there, or too slow."""


class UnexpectedResponse(CaptionaryError):
    """A response came that no service of this release gives."""


class JobUnfinished(CaptionaryError):
    """A job is still at work when the time to wait is over.

    job: its last known state.
    """

    def __init__(self, job: JobBody, seconds: float) -> None:
        super().__init__(
            f"job {job.job} is {job.state} after {seconds:g} s, {job.done} of {job.pairs} pairs "
            "done; it goes on, wait for it again"
        )
        self.job = job
