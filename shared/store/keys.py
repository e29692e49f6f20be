"""Names of keys in Redis. Every key starts with the prefix of the settings; the Lua scripts build the same names.

    {p}:job:{id}                  hash    one job's record, fields below; erased some time after the job is over
    {p}:jobs:{tenant}             zset    a tenant's jobs without those of batches; score = when submitted (s)
    {p}:kept                      zset    jobs that are over; score = when they are erased (s)
    {p}:deadlines                 zset    jobs that must begin in time; score = when they expire (s)
    {p}:references:{result}       set     jobs that refer to this result: it is erased with the last of them
    {p}:erased:{result}           string  the result is being erased just now; expires
    {p}:erased:{tenant}/photo/{id} string the photo was erased a while ago; expires
    {p}:faces:{tenant}:{photo}    set     digests of identify results with faces of this photo
    {p}:pending_delete            set     {tenant}/{photo} of erased photos whose bytes are still stored
    {p}:deleting:{tenant}:{photo} string  how many are deleting a photo's bytes: uploads of it wait; expires
    {p}:pending_face_delete       set     {tenant}/{photo} of erased photos of which some faces are still stored
    {p}:pending_faces:{tenant}:{photo} set digests of those identify results
    {p}:orphans                   set     results to erase whichever jobs refer to them
    {p}:fleet                     hash    id: the marker of the bucket has the same (store/owner.py); marked: it was
                                          written once; forgotten: an operator gave the bucket up
    {p}:pending_tenants           zset    tenants that are being erased; score = since when (s)
    {p}:lock:{name}               string  who dispatches or feeds; set while someone reaps, erases, ...; expires
    {p}:ready:{lane}:{tenant}     zset    jobs to dispatch; score = when submitted (s)
    {p}:schedule:{lane}           zset    tenants; score = units over weight; the smallest is next (queue/dispatch.lua)
    {p}:throttled:{lane}          zset    tenants at their cap; score = the one they had in the schedule
    {p}:virtual_time              hash    per lane: the score that was served last
    {p}:in_flight:{lane}:{tenant} set     a tenant's jobs that are dispatched or under a lease
    {p}:key:{id}                  hash    an API key: tenant, at, secret (sha256), old, old_until, off
    {p}:keys                      zset    ids of the API keys; score = when created (s)
    {p}:tenant:{tenant}           hash    limits of a tenant, fields below; without a field, the default
    {p}:rate:{tenant}             string  when the bucket of its requests will be empty (s); expires then
    {p}:spent:{tenant}:{day}      string  units that count for a day (days since the epoch); expires after it
    {p}:load                      hash    per lane: jobs in ready sets, and their units
    {p}:delayed                   zset    jobs that pause before a retry; score = when the pause is over (s)
    {p}:dispatched:{lane}         zset    jobs sent to Celery and not yet claimed; score = when sent (s)
    {p}:leases:{lane}             zset    jobs that a worker holds; score = when the lease ends (s)
    {p}:waiting:{lane}            zset    jobs that wait for a result; score = since when (s)
    {p}:followers:{result}        zset    the same jobs per result; score = submitted (s), the batch lane far behind
    {p}:owner:{result}            string  id of the job that makes the result, or is promoted to (lib/single_flight.lua)
    {p}:outcome:{result}          string  the outcome of a result that was asked for (JSON); expires soon
    {p}:unsettled                 set     results with too many followers to tell at once: the dispatcher goes on
    {p}:notify:{name}             list    at most one item: wakes the dispatcher, batch feeder or webhook sender
    {p}:events                    stream  (j = job id, s = sequence) for every visible change, capped
    {p}:workers                   zset    live workers; score = when they count as gone (s)
    {p}:worker:{name}             hash    the status of a worker; expires with it
    {p}:largest                   string  pixels of the largest picture that the workers draw; expires
    {p}:counts                    hash    events, all tenants together: ended:{lane}:{status}, failed:{code},
                                          done:{stage}:{made or reused}, lost:{stage} (workers, under a job)
    {p}:speed                     string  units a second of one generation worker, moving average
    {p}:preview:{id}              string  a running job's picture as it emerges (JPEG), while requested; expires
    {p}:throughput:{lane}         hash    per tenant: pictures a second, moving average, and when it was taken
    {p}:response:{tenant}:{name}  hash    the recorded response to an Idempotency-Key; expires
    {p}:photo:{tenant}:{id}       string  1 and the consent that was given: a tenant uploaded the photo; expires
    {p}:audit:{tenant}            stream  a tenant's audit log (lib/audit.lua), fields below; capped, and expires
    {p}:consents:{tenant}         stream  consents given with uploads, by the ids of their entries; capped, expires
    {p}:recent:{tenant}:{key}:{subject}:{detail} string  this action was recorded just now; expires
    {p}:webhooks:{tenant}         zset    a tenant's webhooks; score = when created (s)
    {p}:webhook:{id}              hash    one webhook, fields below
    {p}:deliveries:{webhook}      zset    its newest deliveries; score = when created (s)
    {p}:delivery:{id}             hash    one message to one webhook, fields below; expires
    {p}:due:{webhook}             zset    deliveries that wait; score = when due (s)
    {p}:delivering:{webhook}      zset    deliveries that are dispatched or sent; score = when the lease ends (s)
    {p}:webhook_schedule          zset    webhooks with any of those; score = when to look at them next (s)
    {p}:dispatched_deliveries     zset    deliveries dispatched and not yet claimed; score = when sent again (s)
    {p}:batch:{id}                hash    one batch's record, fields below; erased some time after the batch is over
    {p}:kept_batches              zset    batches that are over; score = when they and their files are erased (s)
    {p}:batches:{tenant}          zset    a tenant's batches; score = when created (s)
    {p}:active_batches            zset    batches that are not over; score = when created (s)
    {p}:intake:{batch}            string  the batch's lines are being read; expires
    {p}:open:{batch}              set     the batch's jobs that are not over: a window of its lines
    {p}:ended:{log}:{batch}       list    jobs that are over and not yet in this log (output or errors)
    {p}:log:{log}:{batch}         list    names of the chunks of this log in the blob store

A {result} is `{tenant}/{stage}/{digest of the order}`, or `{tenant}/{part}` for a part that stages share.
Units are counted in millionths (units.py). Locks: dispatch, feed, reap, erase, collect.

Fields of a job's record. Times are seconds since the epoch on Redis's own clock; a missing field has its default.

    spec, units, lane, tenant, at     the request (JSON without defaults), its size, lane, tenant, when submitted
    s, seq                            status (queued), sequence (1)
    due, n                            the stage that is next or running, attempts so far (0)
    owns, waits                       results it makes under its lease (a line each); the one it follows
    holder, cancel                    who holds the lease (worker/token), and that the job was canceled
    keep, of                          seconds it is kept once over, if not the default; the job it retries
    until, expires                    the stage after which it succeeds; seconds in which it must begin
    trace                             traceparent of the request that submitted it, when tracing is on
    losses, tries                     workers lost under it, transient failures so far
    started, ended                    first claim, end
    step, steps                       progress of the running stage
    try, y:{number}                   tries that fell short so far; each try of a job that has several (JSON, from 0)
    preview_until, preview_step       until when previews are requested (s); step of the newest one
    o:{stage}, t:{stage}, w:{stage}   digest of the output, seconds, warnings (JSON list) of a finished stage
    r:{stage}                         set when its result was reused and not made
    picture, error                    key of the final picture; why it failed (JSON)
    f:{concept}:{photo}               faces in the photo, and the box of the one that is used, in its pixels
    g:{concept}                       its box in the template, and the detector's score
    v:{concept}                       its face in the picture: identity, box, the concept it is nearer to; - for none
    batch, line, custom               the batch of the job, the number of its line, the line's own id
    chunk                             where that line is stored: {source}-{number of the chunk}

Once its line is written to a log of the batch, the record of a finished job has no spec, units and custom any more.
In its picture's key, * stands for the digest of the stage that drew it; t has the seconds of all stages, - for none.

Fields of a batch's record.

    tenant, name, s, seq              its tenant, its name, status, sequence
    at:{status}                       when it came into this state
    expires_after, deadline           seconds it may run (from its start or retry), and until when
    good, bad, source, chunks         lines to run, invalid lines; where they are stored (shared/batch_files.py)
    chunk, at                         the cursor: the next line to queue
    left                              units of the lines from there on
    owed                              units of the lines that had begun and ended without a picture: a retry pays them
    stop, round                       why no more lines are queued (canceled, expired); how often it was retried
    open, running, n:{status}         jobs queued or running, running; lines over by state
    saved                             stages of finished jobs that were reused instead of made
    pending_delete                    it is erased with all that it left as soon as it is over
    marka, markb                      (time, lines over, succeeded) one to two minutes ago, and lately: the rate

Fields of a recorded response: holder, until, seed (the request that works, until when unless it asks again, and what
the ids of the things it creates are drawn from), then print, response (fingerprint of the request, the response packed
by idempotency.py).

Fields of a webhook, and of a delivery:

    tenant, url, events, at           its tenant, where to, its events (comma between; all when empty), when created
    secret, old, old_until            what messages are signed with; the one before, and when that ends
    off, failing, not_before          when disabled; since when deliveries fail; until when the receiver wants quiet

    webhook, message, kind, data      its webhook, the `webhook-id`, the event, its JSON object
    at, since, n, tries, holder       when created, when (re)started, attempts, those since then, who sends it
    s, ended, a:{n}                   how it ended (delivered, failed), when; attempt n (JSON)

Fields of an entry of an audit log: a (action), k (id of the key), i (id of its subject), d (which picture or file, or
the job that is retried). Its id is when it was.

Fields of a tenant: weight (1), concurrency (jobs in flight at once), rate and rate_window_s (requests that create or
change something, in so many seconds), daily_units (units of submitted jobs a day, UTC). Without a field, no limit.

A job is in at most one of ready, delayed, dispatched, leases and waiting, and in none of them once it is over. The
names are built inside the scripts, so Redis must be a single instance (with replicas, if wanted), not a cluster.
"""

from __future__ import annotations

from typing import Literal

Lock = Literal["dispatch", "feed", "reap", "erase", "collect"]
Notified = Literal["dispatch", "feed", "deliver"]
Pending = Literal["pending_delete", "pending_face_delete", "pending_tenants", "orphans"]


def fleet_key(prefix: str) -> str:
    """Key of the id that the marker of the bucket has, too."""
    return f"{prefix}:fleet"


def history_keys(prefix: str) -> tuple[str, ...]:
    """Keys of which one is there as soon as anything was ever submitted, or a tenant had a key."""
    return tuple(f"{prefix}:{name}" for name in ("events", "counts", "kept", "kept_batches", "keys"))


def job_key(prefix: str, job_id: str) -> str:
    """Key of a job's record."""
    return f"{prefix}:job:{job_id}"


def photo_key(prefix: str, tenant: str, photo_id: str) -> str:
    """Key that is there when a tenant has uploaded a photo."""
    return f"{prefix}:photo:{tenant}:{photo_id}"


def audit_key(prefix: str, tenant: str) -> str:
    """Key of a tenant's audit log."""
    return f"{prefix}:audit:{tenant}"


def consents_key(prefix: str, tenant: str) -> str:
    """Key of the consents given with a tenant's uploads."""
    return f"{prefix}:consents:{tenant}"


def api_key_key(prefix: str, key_id: str) -> str:
    """Key of an API key."""
    return f"{prefix}:key:{key_id}"


def api_keys_key(prefix: str) -> str:
    """Key of the set of API keys."""
    return f"{prefix}:keys"


def tenant_key(prefix: str, tenant: str) -> str:
    """Key of the limits of a tenant."""
    return f"{prefix}:tenant:{tenant}"


def preview_key(prefix: str, job_id: str) -> str:
    """Key of a running job's picture as it emerges."""
    return f"{prefix}:preview:{job_id}"


def faces_key(prefix: str, tenant: str, photo_id: str) -> str:
    """Key of the set of identify results with faces of a photo."""
    return f"{prefix}:faces:{tenant}:{photo_id}"


def references_key(prefix: str, result: str) -> str:
    """Key of the set of jobs that refer to a result, named `{tenant}/{stage}/{digest}`."""
    return f"{prefix}:references:{result}"


def worker_key(prefix: str, name: str) -> str:
    """Key of the status of a worker."""
    return f"{prefix}:worker:{name}"


def workers_key(prefix: str) -> str:
    """Key of the set of live workers."""
    return f"{prefix}:workers"


def events_key(prefix: str) -> str:
    """Key of the stream of visible changes."""
    return f"{prefix}:events"


def webhooks_key(prefix: str, tenant: str) -> str:
    """Key of the set of a tenant's webhooks."""
    return f"{prefix}:webhooks:{tenant}"


def webhook_key(prefix: str, webhook_id: str) -> str:
    """Key of a webhook's record."""
    return f"{prefix}:webhook:{webhook_id}"


def deliveries_key(prefix: str, webhook_id: str) -> str:
    """Key of the log of a webhook."""
    return f"{prefix}:deliveries:{webhook_id}"


def delivery_key(prefix: str, delivery_id: str) -> str:
    """Key of a delivery's record."""
    return f"{prefix}:delivery:{delivery_id}"


def due_key(prefix: str, webhook_id: str) -> str:
    """Key of the set of deliveries that wait."""
    return f"{prefix}:due:{webhook_id}"


def batch_key(prefix: str, batch_id: str) -> str:
    """Key of a batch's record."""
    return f"{prefix}:batch:{batch_id}"


def batches_key(prefix: str, tenant: str) -> str:
    """Key of the set of a tenant's batches."""
    return f"{prefix}:batches:{tenant}"


def kept_batches_key(prefix: str) -> str:
    """Key of the set of batches that are over."""
    return f"{prefix}:kept_batches"


def active_batches_key(prefix: str) -> str:
    """Key of the set of batches that are not over."""
    return f"{prefix}:active_batches"


def intake_key(prefix: str, batch_id: str) -> str:
    """Key that is there while a batch's lines are being read."""
    return f"{prefix}:intake:{batch_id}"


def open_key(prefix: str, batch_id: str) -> str:
    """Key of the set of a batch's jobs that are not over."""
    return f"{prefix}:open:{batch_id}"


def ended_key(prefix: str, batch_id: str, log: str) -> str:
    """Key of the list of a batch's jobs that are over and not yet in this log."""
    return f"{prefix}:ended:{log}:{batch_id}"


def log_key(prefix: str, batch_id: str, log: str) -> str:
    """Key of the list of the chunks of a batch's log."""
    return f"{prefix}:log:{log}:{batch_id}"


def lock_key(prefix: str, name: Lock) -> str:
    """Key that is there while someone has this lock."""
    return f"{prefix}:lock:{name}"


def notify_key(prefix: str, name: Notified) -> str:
    """Key of the list that wakes the one that waits for this."""
    return f"{prefix}:notify:{name}"


def pending_key(prefix: str, what: Pending) -> str:
    """Key of a set of things that are to be erased."""
    return f"{prefix}:{what}"


def kept_key(prefix: str) -> str:
    """Key of the set of jobs that are over."""
    return f"{prefix}:kept"


def jobs_key(prefix: str, tenant: str) -> str:
    """Key of the set of a tenant's jobs."""
    return f"{prefix}:jobs:{tenant}"


def responses_pattern(prefix: str, tenant: str) -> str:
    """Pattern of the keys of the recorded responses of a tenant."""
    return f"{prefix}:response:{tenant}:*"
