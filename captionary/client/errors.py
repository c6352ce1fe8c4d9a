"""The errors of the client.

schemas.errors.CaptionaryError
+-- ServiceProblem    the service answered with a problem: status, detail, request_id
|   +-- Busy          it has too much to do, also after some retries: retry_after
+-- Unreachable       no answer came
+-- StrangeAnswer     an answer came that no service of this release gives
+-- NotDone           a job is still at work when the time to wait is over: job
schemas.errors.WrongInput    what was given cannot be sent
"""

from captionary.schemas.bodies import JobBody
from captionary.schemas.errors import CaptionaryError


class ServiceProblem(CaptionaryError):
    """The service would not, or could not.

    status:     of HTTP.
    detail:     in one line, what is wrong and what to do.
    request_id: by which the service's log tells more.
    """

    def __init__(self, status: int, detail: str, request_id: str) -> None:
        super().__init__(f"{detail} (status {status}, request {request_id or 'without id'})")
        self.status = status
        self.detail = detail
        self.request_id = request_id


class Busy(ServiceProblem):
    """The service has too much to do.

    retry_after: seconds after which it asks to be asked again; None: it did not say.
    """

    def __init__(
        self, status: int, detail: str, request_id: str, retry_after: float | None
    ) -> None:
        super().__init__(status, detail, request_id)
        self.retry_after = retry_after


class Unreachable(CaptionaryError):
    """No answer came: wrong address, nobody there, or too slow."""


class StrangeAnswer(CaptionaryError):
    """An answer came that no service of this release gives."""


class NotDone(CaptionaryError):
    """A job is still at work when the time to wait is over.

    job: its state when last asked for.
    """

    def __init__(self, job: JobBody, seconds: float) -> None:
        super().__init__(
            f"job {job.job} is {job.state} after {seconds:g} s, {job.done} of {job.pairs} pairs "
            "done; it goes on, wait for it again"
        )
        self.job = job
