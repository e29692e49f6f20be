--- @include lib/backlog
--- @include lib/queue_keys
--- @include lib/tenant_limits
--- @include lib/time
--- @args
-- The whole queue in numbers, all tenants together, as JSON:
--   lanes: per lane ready (jobs by class of tenant: {jobs, oldest_s}), waiting (for a result), dispatched, leases, lines of
--     batches that have no job yet, units of all queued work;
--   delayed, speed, batches (not over), late_s (how long ago a delivery was due that no worker took), counts.
-- A tenant's class is its weight: light (under 1), usual, heavy. At most so many tenants are looked at one by one:
local MAX_TENANTS = 2000
local t = now()

local function class_of(tenant)
  local weight = weight_of(tenant)
  return weight < 1 and 'light' or weight > 1 and 'heavy' or 'usual'
end

local function ready_jobs(lane)
  local found = {}
  for _, class in ipairs({'light', 'usual', 'heavy'}) do found[class] = {jobs = 0, oldest_s = 0} end
  for _, set in ipairs({schedule_key(lane), throttled_key(lane)}) do
    for _, tenant in ipairs(redis.call('ZRANGE', set, 0, MAX_TENANTS - 1)) do
      local first = redis.call('ZRANGE', ready_key(lane, tenant), 0, 0, 'WITHSCORES')[2]
      if first then
        local one = found[class_of(tenant)]
        one.jobs = one.jobs + redis.call('ZCARD', ready_key(lane, tenant))
        one.oldest_s = math.max(one.oldest_s, t - tonumber(first))
      end
    end
  end
  return found
end

local lanes = {}
for _, lane in ipairs({'interactive', 'batch'}) do
  local lines, units = 0, tonumber(redis.call('HGET', p .. ':load', lane .. ':units') or 0)
  local waiting = redis.call('ZCARD', waiting_key(lane))
  for _, one in pairs(work_outside_ready(lane)) do
    lines, units = lines + one.jobs, units + one.units
  end
  lanes[lane] = {
    ready = ready_jobs(lane), waiting = waiting, dispatched = redis.call('ZCARD', dispatched_key(lane)),
    leases = redis.call('ZCARD', leases_key(lane)), lines = math.max(0, lines - math.min(waiting, MAX_WAITING)),
    units = math.max(0, units),
  }
end

local counts, flat = {}, redis.call('HGETALL', p .. ':counts')
for i = 1, #flat, 2 do counts[flat[i]] = tonumber(flat[i + 1]) end
-- cjson encodes an empty table as a list.
counts[''] = 0
local due = redis.call('ZRANGE', p .. ':webhook_schedule', 0, 0, 'WITHSCORES')[2]
return cjson.encode({
  lanes = lanes, delayed = redis.call('ZCARD', p .. ':delayed'), batches = redis.call('ZCARD', p .. ':active_batches'),
  counts = counts, speed = tonumber(redis.call('GET', p .. ':speed') or 0),
  late_s = due and math.max(0, t - tonumber(due)) or 0,
})
