--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, tenant, by. The job is to go with all it left: now, or as soon as its holder stops.
-- Returns 'none' when the tenant has no such job, 'over' or 'running'.
local job = read(ARGV[2])
if not job or job.tenant ~= ARGV[3] then return 'none' end
note(job.tenant, ARGV[4], 'job.deleted', job.id)
if OVER[job.status] then
  redis.call('ZADD', p .. ':kept', 0, job.id)
  return 'over'
end
redis.call('HSET', record(job.id), 'keep', 0)
if held(job) then
  redis.call('HSET', record(job.id), 'cancel', 1)
  return 'running'
end
close(job, 'canceled', 0)
return 'over'
