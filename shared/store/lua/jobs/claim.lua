--- @include lib/batch_jobs
--- @include lib/events
--- @include lib/job_keys
--- @include lib/job_record
--- @include lib/leases
--- @include lib/placement
--- @include lib/queue_keys
--- @include lib/tenant_limits
--- @include lib/time
--- @args id stage holder lease_s:number
-- Gives the caller the lease on a job whose due stage this is. A caller whose first answer got lost asks again with the same
-- holder. Returns {'ok', attempt, record...} or {why not}.
local job = read_job(id)
if not job or OVER[job.status] then return {'over'} end
if is_held(job) then
  if job.holder ~= holder then return {'held'} end
else
  if job.due ~= stage then return {'other_stage'} end
  -- An old message about a job that is queued again, while its tenant is at its cap.
  if not redis.call('ZSCORE', dispatched_key(job.lane), job.id) and is_at_cap(job.tenant) then return {'held'} end
  take_out(job, true)
  if job.status ~= 'running' then count_running(job, 1) end
  job.attempt = redis.call('HINCRBY', job_key(job.id), 'n', 1)
  put_in_flight(job, leases_key(job.lane), now() + lease_s)
  redis.call('HSET', job_key(job.id), 's', 'running', 'holder', holder)
  redis.call('HSETNX', job_key(job.id), 'started', stamp())
  redis.call('HDEL', job_key(job.id), 'step', 'steps')
  announce(job.id)
end
return {'ok', job.attempt, unpack(redis.call('HGETALL', job_key(job.id)))}
