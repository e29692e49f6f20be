"""Names in Redis. Every key starts with the prefix of the settings; the Lua scripts build the same names from it.

    {p}:job:{id}                  hash    one job's record, fields below; erased some time after the job is over
    {p}:jobs:{tenant}             zset    a tenant's jobs, those of batches aside; score = when submitted (s)
    {p}:kept                      zset    jobs that are over; score = when they are erased (s)
    {p}:deadlines                 zset    jobs that asked to begin in time; score = when they expire (s)
    {p}:uses:{t}/{stage}/{digest}   set   jobs that have this result of a stage: it is erased with the last of them
    {p}:erased:{t}/{stage}/{digest} string  the result is being erased just now; expires
    {p}:faces:{tenant}:{photo}    set     digests of identify results with faces of this photo
    {p}:going                     set     {t}/{photo} of erased photos whose bytes are still to be deleted
    {p}:clearing:{tenant}:{photo} string  how many are deleting a photo's bytes just now: it is not kept anew; expires
    {p}:fading                    set     {t}/{photo} of erased photos of whose faces some are still to be erased
    {p}:fading:{tenant}:{photo}   set     digests of those identify results
    {p}:strays                    set     {t}/{stage}/{digest} of results to erase whoever has them
    {p}:fleet                     hash    id: the marker of the bucket has the same (store/owner.py); marked: it was
                                          written once; forgotten: an operator gave the bucket up
    {p}:leaving                   zset    tenants of which all is to go; score = since when (s)
    {p}:sweep, {p}:collect        string  somebody erases, or looks for blobs that nobody has, just now; both expire
    {p}:ready:{lane}:{tenant}     zset    jobs that wait for their turn; score = when submitted (s)
    {p}:turns:{lane}              zset    tenants; score = units over weight; the smallest is next (queue/dispatch.lua)
    {p}:capped:{lane}             zset    tenants that stand aside, at their cap; score = the one they had in turns
    {p}:clock                     hash    per lane: the score that was served last
    {p}:abroad:{lane}:{tenant}    set     a tenant's jobs that are handed out: in flight or under a lease
    {p}:key:{id}                  hash    an API key: tenant, at, secret (sha256), old, old_until, off
    {p}:keys                      zset    ids of the API keys; score = when made (s)
    {p}:tenant:{tenant}           hash    what a tenant may have, fields below; without one, the defaults
    {p}:rate:{tenant}             string  when the bucket of its requests will be empty (s); expires then
    {p}:spent:{tenant}:{day}      string  units that count for a day (days since the epoch); expires after it
    {p}:load                      hash    per lane: how many jobs wait, and their units (in millionths, as all units)
    {p}:later                     zset    jobs that pause before another try; score = when the pause is over (s)
    {p}:flight:{lane}             zset    jobs handed to Celery that nobody works on yet; score = when rung (s)
    {p}:leases:{lane}             zset    jobs that a worker holds; score = when the lease ends (s)
    {p}:parked:{lane}             zset    jobs that wait for what another one makes; score = since when (s)
    {p}:waiters:{result}          zset    the same jobs per result; score = submitted (s), the batch lane far behind
    {p}:maker:{result}            string  id of the job that makes the result, or is called to (lib/single_flight.lua)
    {p}:made:{result}             hash    what became of a result that was asked for; expires soon
    {p}:unsettled                 set     results whose waiters were too many to be told at once: the pump goes on
    {p}:bell                      list    at most one item: wakes the pump
    {p}:pump, {p}:reap            string  who pumps, and that somebody reaped just now; both expire by themselves
    {p}:events                    stream  (j = job id, s = sequence) for every visible change, capped
    {p}:workers                   zset    live workers; score = when they count as gone (s)
    {p}:worker:{name}             hash    what a worker says of itself; expires with it
    {p}:largest                   string  pixels of the largest picture that the workers draw; expires
    {p}:counts                    hash    what happened, all tenants together: ended:{lane}:{status}, failed:{code},
                                          done:{stage}:{made or reused}, lost:{stage} (workers, under a job)
    {p}:speed                     string  units a second of one generation worker, moving average
    {p}:preview:{id}              string  a running job's picture as it emerges (JPEG), if somebody watches; expires
    {p}:pace:{lane}               hash    per tenant: pictures a second, moving average, and when it was taken
    {p}:answer:{tenant}:{name}    hash    the first answer to a request with an Idempotency-Key, below; expires
    {p}:photo:{tenant}:{id}       string  1 and what was said of consent: a tenant uploaded the photo; expires
    {p}:audit:{tenant}            stream  a tenant's audit log (lib/audit.lua), fields below; capped, and expires
    {p}:consents:{tenant}         stream  what uploads said of consent, by the ids of their entries; capped, expires
    {p}:read:{tenant}:{key}:{subject}:{what} string  the key's reading of it was noted just now; expires
    {p}:webhooks:{tenant}         zset    a tenant's webhooks; score = when made (s)
    {p}:webhook:{id}              hash    one webhook, fields below
    {p}:deliveries:{webhook}      zset    its log: the newest deliveries; score = when told (s)
    {p}:delivery:{id}             hash    one message to one webhook, fields below; expires
    {p}:due:{webhook}             zset    deliveries that wait; score = when due (s)
    {p}:posting:{webhook}         zset    deliveries handed out or being made; score = when the lease ends (s)
    {p}:post                      zset    webhooks with any of those; score = when to look at them next (s)
    {p}:rung                      zset    deliveries handed out that nobody claimed yet; score = when rung for again (s)
    {p}:postbell                  list    at most one item: wakes those who look
    {p}:batch:{id}                hash    one batch's record, fields below; erased some time after the batch is over
    {p}:keptbatches               zset    batches that are over; score = when they and their files are erased (s)
    {p}:batches:{tenant}          zset    a tenant's batches; score = when they came (s)
    {p}:feeding                   zset    batches that are not over; score = when they came (s)
    {p}:intake:{batch}            string  says that somebody reads the batch's lines; expires by itself
    {p}:open:{batch}              set     the batch's jobs that are not over: a window of its lines
    {p}:ended:{log}:{batch}       list    jobs that are over and not yet in this log (output or errors)
    {p}:log:{log}:{batch}         list    names of the chunks of this log in the blob store
    {p}:feed, {p}:feedbell        string, list: who feeds, and at most one item that wakes them

A {result} is `{tenant}/{stage}/{digest of the order}`, or `{tenant}/{part}` for a part that stages share.

Fields of a job's record. Times are seconds since the epoch on Redis's own clock; what is missing has its default.

    spec, units, lane, tenant, at     the request (JSON without defaults), its size, where it waits, when it came
    s, seq                            status (queued), sequence (1)
    due, n                            the stage that is next or running (identify), attempts so far (0)
    makes, waits                      results it makes under its lease (a line each); the one it is parked or called for
    holder, cancel                    who holds the lease (worker/token), and that the person took the job back
    keep, of                          seconds it is kept once over, if not as long as all; the job it is a retry of
    until, expires                    the stage after which it succeeds (verify); seconds in which it is to begin
    trace                             traceparent of the request that submitted it, when traces are on
    losses, tries                     workers lost under it, transient failures so far
    started, ended                    first claim, end
    step, steps                       progress of the running stage
    try, y:{number}                   tries that fell short so far; each try of a job that has several (JSON, from 0)
    show, shown                       until when somebody wants to see the picture emerge (s); step of the newest one
    o:{stage}, t:{stage}, w:{stage}   digest of the output, seconds, warnings (JSON list) of a finished stage
    r:{stage}                         set when its result was found or waited for instead of made
    picture, error                    key of the final picture; why it failed (JSON)
    f:{concept}:{photo}               faces in the photo, and the box of the one that is taken, in its pixels
    g:{concept}                       its box in the template, and the detector's score
    v:{concept}                       its face in the picture: identity, box, whom it is nearer to, if so; - for none
    batch, line, custom               the batch that the job is of, the number of its line, the line's own id
    chunk                             where that line lies: {source}-{number of the chunk}

Once the log of its batch tells of it, the record of a finished job has no spec, units and custom any more: its line has
them. In its picture's key, * stands for the digest of personalize, and t has the seconds of all stages, - for none.

Fields of a batch's record.

    tenant, name, s, seq              whose it is, what its owner calls it, status, sequence
    at:{status}                       when it came into this state
    expires_after, deadline           seconds it may run (from its start or retry), and until when
    good, bad, source, chunks         lines to run, unreadable lines; where they are stored (shared/batch_files.py)
    chunk, at                         the cursor: the next line to queue
    left                              units of the lines from there on
    owed                              units of the lines over without a picture that were begun: they count again
    stop, round                       why no more lines are queued (canceled, expired); how often it was asked for again
    open, running, n:{status}         jobs queued or running, running; lines over by state
    saved                             stages of finished jobs that were found instead of made
    leaving                           it is to go with all it left as soon as it is over
    marka, markb                      (time, lines over, succeeded) one to two minutes ago, and lately: the rate

Fields of an answer: holder, until, seed (who works on the request, until when unless it asks again, and what the ids of
the things it makes are drawn from), then print, answer (fingerprint of the request, the answer packed by answers.py).

Fields of a webhook, and of a delivery:

    tenant, url, events, at           whose, where to, what it hears of (comma between; all when empty), when made
    secret, old, old_until            what messages are signed with; the one before, and when that ends
    off, failing, not_before          when disabled; since when nothing arrives; until when the receiver wants quiet

    webhook, message, kind, data      where it belongs, the `webhook-id`, the event, its JSON object
    at, since, n, tries, holder       when told, when (re)started, attempts, those since then, who makes it
    s, ended, a:{n}                   how it ended (delivered, failed), when; attempt n (JSON)

Fields of an entry of an audit log: a (action), k (id of the key), i (id of what it is about), d (which picture or
file, or the job that is done over). Its id is when it was.

Fields of a tenant: weight (1), concurrency (jobs handed out at once), rate and rate_window_s (requests that make or
change something, in so many seconds), daily_units (units of submitted jobs a day, UTC). Without a field, no limit.

A job is in at most one of ready, later, flight, leases and parked, and in none of them once it is over. The names are
built inside the scripts, so Redis must be a single instance (with replicas, if wanted), not a cluster.
"""

from __future__ import annotations


def fleet_key(prefix: str) -> str:
    """Key of the id that the marker of the bucket has, too."""
    return f"{prefix}:fleet"


def history_keys(prefix: str) -> tuple[str, ...]:
    """Keys of which one is there as soon as anything was ever submitted, or a tenant had a key."""
    return tuple(f"{prefix}:{name}" for name in ("events", "counts", "kept", "keptbatches", "keys"))


def job_key(prefix: str, job_id: str) -> str:
    """Key of a job's record."""
    return f"{prefix}:job:{job_id}"


def photo_key(prefix: str, tenant: str, photo_id: str) -> str:
    """Key that says that a tenant uploaded a photo."""
    return f"{prefix}:photo:{tenant}:{photo_id}"


def audit_key(prefix: str, tenant: str) -> str:
    """Key of a tenant's audit log."""
    return f"{prefix}:audit:{tenant}"


def consents_key(prefix: str, tenant: str) -> str:
    """Key of what a tenant's uploads said of consent."""
    return f"{prefix}:consents:{tenant}"


def api_key_key(prefix: str, key_id: str) -> str:
    """Key of an API key."""
    return f"{prefix}:key:{key_id}"


def api_keys_key(prefix: str) -> str:
    """Key of the set of API keys."""
    return f"{prefix}:keys"


def tenant_key(prefix: str, tenant: str) -> str:
    """Key of what a tenant may have."""
    return f"{prefix}:tenant:{tenant}"


def preview_key(prefix: str, job_id: str) -> str:
    """Key of a running job's picture as it emerges."""
    return f"{prefix}:preview:{job_id}"


def faces_key(prefix: str, tenant: str, photo_id: str) -> str:
    """Key of the set of identify results with faces of a photo."""
    return f"{prefix}:faces:{tenant}:{photo_id}"


def uses_key(prefix: str, result: str) -> str:
    """Key of the set of jobs that have a result, named `{tenant}/{stage}/{digest}`."""
    return f"{prefix}:uses:{result}"


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


def postbell_key(prefix: str) -> str:
    """Key of the list that wakes those who look for due deliveries."""
    return f"{prefix}:postbell"


def batch_key(prefix: str, batch_id: str) -> str:
    """Key of a batch's record."""
    return f"{prefix}:batch:{batch_id}"


def batches_key(prefix: str, tenant: str) -> str:
    """Key of the set of a tenant's batches."""
    return f"{prefix}:batches:{tenant}"


def kept_batches_key(prefix: str) -> str:
    """Key of the set of batches that are over."""
    return f"{prefix}:keptbatches"


def feeding_key(prefix: str) -> str:
    """Key of the set of batches that are not over."""
    return f"{prefix}:feeding"


def intake_key(prefix: str, batch_id: str) -> str:
    """Key that says that somebody reads a batch's lines."""
    return f"{prefix}:intake:{batch_id}"


def members_key(prefix: str, batch_id: str) -> str:
    """Key of the set of a batch's jobs that are not over."""
    return f"{prefix}:open:{batch_id}"


def ended_key(prefix: str, batch_id: str, log: str) -> str:
    """Key of the list of a batch's jobs that are over and not yet in this log."""
    return f"{prefix}:ended:{log}:{batch_id}"


def log_key(prefix: str, batch_id: str, log: str) -> str:
    """Key of the list of the chunks of a batch's log."""
    return f"{prefix}:log:{log}:{batch_id}"


def feed_key(prefix: str) -> str:
    """Key that says who feeds."""
    return f"{prefix}:feed"


def feedbell_key(prefix: str) -> str:
    """Key of the list that wakes the feeder."""
    return f"{prefix}:feedbell"
