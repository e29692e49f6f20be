--- @include lib/events
--- @include lib/job_keys
--- @include lib/job_record
--- @include lib/leases
--- @include lib/time
--- @args id attempt:number lease_s:number worker step? steps?
-- Prolongs the lease and writes progress if given. Returns what the holder is to do: 'go_on', 'preview' (go on, and store the
-- picture as it emerges), 'lost', 'canceled' or 'draining'.
local job = read_job(id)
if not is_current(job, attempt) then return 'lost' end
local stopped = renew_lease(job, worker, now() + lease_s)
if step then
  redis.call('HSET', job_key(job.id), 'step', step, 'steps', steps)
  announce(job.id)
end
if stopped then return stopped end
return tonumber(redis.call('HGET', job_key(job.id), 'preview_until') or 0) > now() and 'preview' or 'go_on'
