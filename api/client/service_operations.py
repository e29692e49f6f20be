"""What a client can ask about the service and about its own tenant."""

from __future__ import annotations

from api.client.calls import Call, Steps
from api.client.paths import AUDIT, HEALTH, METRICS, QUEUE, READY, TENANT, WORKERS
from api.client.problems import error_of, json_object
from api.client.sending import Sending
from api.client.service_values import AuditPage, Queue, Readiness, Worker, Workers
from shared.errors import RequestError

_ERASE_S = 120.0
_HEALTH_S = 5.0
_SERVICE = "troupe"


class ServiceOperations(Sending):
    """Queue, workers, health, metrics, audit log and erasure of the tenant."""

    def ping(self) -> Steps[None]:
        """Returns if a Troupe server answers at this address. The API key is not sent.

        Raises TransientError if nothing answers, and RequestError if something else does.
        """
        call = Call(method="GET", path=HEALTH, anonymous=True, any_status=True, timeout_s=_HEALTH_S)
        answer = yield from self.effort.send(call)
        if json_object(answer).get("service") != _SERVICE:
            message = f"what answers at {self.effort.where} is not a Troupe server"
            raise RequestError(message)

    def ready(self) -> Steps[Readiness]:
        """Whether a job that is submitted now can be served, and if not, what is missing."""
        # The answer is 503 while something is missing; its body says what.
        answer = yield from self.effort.send(Call(method="GET", path=READY, any_status=True))
        if "checks" not in json_object(answer):
            raise error_of(answer, self.effort.where)
        return Readiness.model_validate_json(answer.content)

    def metrics(self) -> Steps[str]:
        """The metrics of the API process as Prometheus text."""
        answer = yield from self.effort.send(Call(method="GET", path=METRICS, headers={"Accept": "text/plain"}))
        return answer.text

    def queue(self) -> Steps[Queue]:
        """How busy the service is: what waits and runs in each lane."""
        return (yield from self.get_value(Queue, QUEUE))

    def workers(self) -> Steps[list[Worker]]:
        """All live workers and what they work on."""
        found = yield from self.get_value(Workers, WORKERS)
        return found.workers

    def audit(
        self, *, action: str | None = None, cursor: str | None = None, limit: int | None = None
    ) -> Steps[AuditPage]:
        """One page of the tenant's audit log, the newest entry first.

        action: only entries of this action, such as `picture.read`. cursor: `next` of the previous page.
        """
        return (yield from self.get_value(AuditPage, AUDIT, action=action, cursor=cursor, limit=limit))

    def delete_tenant(self, name: str) -> Steps[bool]:
        """Erases everything of the tenant of this client's key. name: the tenant's, as a confirmation.

        False: some jobs run, and are erased when they stop.
        """
        return (yield from self.erase(TENANT, _ERASE_S, confirm=name))
