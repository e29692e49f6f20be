--- @include lib/events
--- @include lib/fair_schedule
--- @include lib/job_keys
--- @include lib/job_record
--- @include lib/leases
--- @include lib/lifecycle
--- @include lib/notify
--- @include lib/queue_keys
--- @include lib/result_keys
--- @include lib/single_flight
--- @include lib/time
--- @args id attempt:number lease_s:number worker stage digest again? parts...
-- The holder did not find the result of its stage stored and is about to make it, and the parts of it that are missing.
-- again: it looked once more after 'made'. Renews the lease, too.
-- Returns 'make', 'made' (another job has just made it: look again), 'wait', or as renew does: 'lost', 'canceled', 'draining'.
-- Followers of the interactive lane are promoted first.
local BATCH_LANE_S = 1e11
local job = read_job(id)
if not is_current(job, attempt) then return 'lost' end
local stopped = renew_lease(job, worker, now() + lease_s)
if stopped then return stopped end

local results = {result_of(job.tenant, stage, digest)}
for _, part in ipairs(parts) do results[#results + 1] = job.tenant .. '/' .. part end
local waited, busy = job.waits, nil
for _, result in ipairs(results) do
  if result == waited then waited = nil end
  if not again and redis.call('EXISTS', outcome_key(result)) == 1 then return 'made' end
  local owner = owner_of(result)
  if owner and owner.id ~= job.id and is_held(owner) then busy = busy or result end
end

if not busy then
  for _, result in ipairs(results) do redis.call('SET', owner_key(result), job.id) end
  redis.call('HSET', job_key(job.id), 'owns', table.concat(results, '\n'))
  redis.call('HDEL', job_key(job.id), 'waits')
  if waited then promote(waited) end
  return 'make'
end

give_back(job)
redis.call('HSET', job_key(job.id), 'waits', busy)
redis.call('ZADD', waiting_key(job.lane), now(), job.id)
redis.call('ZADD', followers_key(busy), job.at + (job.lane == 'interactive' and 0 or BATCH_LANE_S), job.id)
-- It was charged to its tenant's share and has got nothing for it yet.
pay(job.lane, job.tenant, 0 - job.units)
announce(job.id)
notify('dispatch')
if job.waits and job.waits ~= busy then promote(job.waits) end
return 'wait'
