"""Names in Redis. Every key starts with the prefix of the settings; the Lua scripts build the same names from it.

    {p}:job:{id}                  hash    one job's record, fields below; expires some time after the job is over
    {p}:ready:{lane}:{tenant}     zset    jobs that wait for their turn; score = when submitted (s)
    {p}:turns:{lane}              zset    tenants; score = units served so far: the smallest is next (see pump.lua)
    {p}:load                      hash    per lane: how many jobs wait, and how many units they are
    {p}:later                     zset    jobs that pause before another try; score = when the pause is over (s)
    {p}:flight:{lane}             zset    jobs handed to Celery that nobody works on yet; score = when rung (s)
    {p}:leases:{lane}             zset    jobs that a worker holds; score = when the lease ends (s)
    {p}:bell                      list    at most one item: wakes the pump
    {p}:pump, {p}:reap            string  who pumps, and that somebody reaped just now; both expire by themselves
    {p}:events                    stream  (j = job id, s = sequence) for every visible change, capped
    {p}:workers                   zset    live workers; score = when they count as gone (s)
    {p}:worker:{name}             hash    what a worker says of itself; expires with it
    {p}:speed                     string  units a second of one generation worker, moving average
    {p}:answer:{name}             hash    the first answer to a request with an Idempotency-Key, below; expires
    {p}:photo:{tenant}:{id}       string  says that a tenant uploaded a photo; expires

Fields of a job's record. Times are seconds since the epoch on Redis's own clock; what is missing has its default.

    spec, units, lane, tenant, at     the request (JSON without defaults), its size, where it waits, when it came
    s, seq                            status (queued), sequence (1)
    due, n                            the stage that is next or running (identify), attempts so far (0)
    holder, cancel                    who holds the lease (worker/token), and that the person took the job back
    losses, tries                     workers lost under it, transient failures so far
    started, ended                    first claim, end
    step, steps                       progress of the running stage
    o:{stage}, t:{stage}, w:{stage}   digest of the output, seconds, warnings (JSON list) of a finished stage
    picture, error                    key of the final picture; why it failed (JSON)

Fields of an answer: holder, until, seed (who works on the request, until when unless it asks again, and what the ids of
the things it makes are drawn from), then print, answer (fingerprint of the request, the answer packed by answers.py).

A job is in at most one of ready, later, flight and leases, and in none of them once it is over. The names are built
inside the scripts, so Redis must be a single instance (with replicas, if wanted), not a cluster.
"""

from __future__ import annotations


def job_key(prefix: str, job_id: str) -> str:
    """Key of a job's record."""
    return f"{prefix}:job:{job_id}"


def photo_key(prefix: str, tenant: str, photo_id: str) -> str:
    """Key that says that a tenant uploaded a photo."""
    return f"{prefix}:photo:{tenant}:{photo_id}"


def worker_key(prefix: str, name: str) -> str:
    """Key of what a worker says of itself."""
    return f"{prefix}:worker:{name}"


def workers_key(prefix: str) -> str:
    """Key of the set of live workers."""
    return f"{prefix}:workers"


def events_key(prefix: str) -> str:
    """Key of the stream of visible changes."""
    return f"{prefix}:events"


def reap_key(prefix: str) -> str:
    """Key that says that somebody reaps or has just done so."""
    return f"{prefix}:reap"


def bell_key(prefix: str) -> str:
    """Key of the list that wakes the pump."""
    return f"{prefix}:bell"
