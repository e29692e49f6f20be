-- What waits without a place in its lane, for scripts that look at the whole queue.
local MOST_BATCHES = 1000
local MOST_PARKED = 2000

local function add(to, whose, jobs, units)
  local one = to[whose] or {jobs = 0, units = 0}
  one.jobs, one.units = one.jobs + jobs, one.units + units
  to[whose] = one
end

-- Per tenant: what waits in a lane without a place in it.
local function placeless(lane)
  local found = {}
  for _, id in ipairs(redis.call('ZRANGE', parked(lane), 0, MOST_PARKED - 1)) do
    local job = read(id)
    if job then add(found, job.tenant, 1, job.units) end
  end
  if lane ~= 'batch' then return found end
  for _, id in ipairs(redis.call('ZRANGE', p .. ':feeding', 0, MOST_BATCHES - 1)) do
    local f = redis.call('HMGET', batch(id), 's', 'stop', 'tenant', 'chunk', 'chunks', 'left', 'good', 'open',
      'n:succeeded', 'n:failed', 'n:canceled', 'n:expired')
    local function number(i) return tonumber(f[i] or 0) end
    if f[1] == 'running' and not f[2] and number(4) < number(5) then
      local lines = number(7)
      for i = 8, 12 do lines = lines - number(i) end
      add(found, f[3], math.max(0, lines), math.max(0, number(6)))
    end
  end
  return found
end

