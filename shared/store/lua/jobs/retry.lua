--- @include lib/job_keys
--- @include lib/job_record
--- @include lib/leases
--- @include lib/lifecycle
--- @include lib/outcomes
--- @include lib/time
--- @args id attempt:number expiry_s:number error max_tries:number pause_s:number
-- A transient error stopped the holder: the job is delayed, twice as long every time, and fails after too many tries.
-- Returns 'done', 'failed', 'canceled' or 'lost'.
local job = read_job(id)
if not is_current(job, attempt) then return 'lost' end
if job.cancel then
  close(job, 'canceled', expiry_s)
  return 'canceled'
end
local tries = redis.call('HINCRBY', job_key(job.id), 'tries', 1)
if tries > max_tries then
  fail(job, error, expiry_s)
  return 'failed'
end
delay(job, now() + pause_s * 2 ^ (tries - 1), expiry_s)
return 'done'
