--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, stage, holder, lease_s. Gives the caller the lease on a job whose due stage this is.
-- Returns {'ok', attempt, record...} or {why not}. A caller whose first answer got lost asks again with the same holder.
local job = read(ARGV[2])
if not job or OVER[job.status] then return {'over'} end
if held(job) then
  if job.holder ~= ARGV[4] then return {'held'} end
else
  if job.due ~= ARGV[3] then return {'other_stage'} end
  -- An old doorbell of a job that waits for its turn again, while its tenant has all it may have.
  if not redis.call('ZSCORE', flight(job.lane), job.id) and at_cap(job.tenant) then return {'held'} end
  take_out(job, true)
  if job.status ~= 'running' then count_running(job, 1) end
  job.attempt = redis.call('HINCRBY', record(job.id), 'n', 1)
  send_out(job, leases(job.lane), now() + tonumber(ARGV[5]))
  redis.call('HSET', record(job.id), 's', 'running', 'holder', ARGV[4])
  redis.call('HSETNX', record(job.id), 'started', stamp())
  redis.call('HDEL', record(job.id), 'step', 'steps')
  announce(job.id)
end
return {'ok', job.attempt, unpack(redis.call('HGETALL', record(job.id)))}
