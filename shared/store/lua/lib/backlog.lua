--- @include lib/batch_keys
--- @include lib/job_record
--- @include lib/queue_keys
-- Work that has no place in the ready sets, for scripts that look at the whole queue.
local MAX_BATCHES = 1000
local MAX_WAITING = 2000

local function add_work(to, tenant, jobs, units)
  local one = to[tenant] or {jobs = 0, units = 0}
  one.jobs, one.units = one.jobs + jobs, one.units + units
  to[tenant] = one
end

-- {jobs, units} per tenant: jobs that wait for a result, and lines of batches that have no job yet.
local function work_outside_ready(lane)
  local found = {}
  for _, id in ipairs(redis.call('ZRANGE', waiting_key(lane), 0, MAX_WAITING - 1)) do
    local job = read_job(id)
    if job then add_work(found, job.tenant, 1, job.units) end
  end
  if lane ~= 'batch' then return found end
  for _, id in ipairs(redis.call('ZRANGE', p .. ':active_batches', 0, MAX_BATCHES - 1)) do
    local f = redis.call('HMGET', batch_key(id), 's', 'stop', 'tenant', 'chunk', 'chunks', 'left', 'good', 'open',
      'n:succeeded', 'n:failed', 'n:canceled', 'n:expired')
    local function value(i) return tonumber(f[i] or 0) end
    if f[1] == 'running' and not f[2] and value(4) < value(5) then
      local lines_left = value(7)
      for i = 8, 12 do lines_left = lines_left - value(i) end
      add_work(found, f[3], math.max(0, lines_left), math.max(0, value(6)))
    end
  end
  return found
end
