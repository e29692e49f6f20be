--- @include lib/audit
--- @include lib/job_keys
--- @include lib/job_record
--- @include lib/leases
--- @include lib/lifecycle
--- @args id tenant by
-- The job is to be erased with all that it left: now, or as soon as its holder stops.
-- Returns 'none' when the tenant has no such job, 'over' or 'running'.
local job = read_job(id)
if not job or job.tenant ~= tenant then return 'none' end
record_action(job.tenant, by, 'job.deleted', job.id)
if OVER[job.status] then
  redis.call('ZADD', p .. ':kept', 0, job.id)
  return 'over'
end
redis.call('HSET', job_key(job.id), 'keep', 0)
if is_held(job) then
  redis.call('HSET', job_key(job.id), 'cancel', 1)
  return 'running'
end
close(job, 'canceled', 0)
return 'over'
