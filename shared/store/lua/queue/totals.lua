--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
--- @include lib/backlog
-- ARGV: prefix. The whole queue in numbers, all tenants together, as JSON:
--   lanes: per lane what waits for its turn by class of tenant ({jobs, oldest_s}), parked, flight, leases, lines of batches that
--     no job was made of yet, units of all that waits;
--   paused, speed, batches (not over), late_s (how long ago a delivery was due that nobody took), counts.
-- A tenant's class is its weight: light (under 1), usual, heavy. So many tenants that wait are looked at one by one:
local MOST_TENANTS = 2000
local t = now()

local function class_of(tenant)
  local weight = weight_of(tenant)
  return weight < 1 and 'light' or weight > 1 and 'heavy' or 'usual'
end

local function waiting(lane)
  local found = {}
  for _, class in ipairs({'light', 'usual', 'heavy'}) do found[class] = {jobs = 0, oldest_s = 0} end
  for _, set in ipairs({turns(lane), capped(lane)}) do
    for _, tenant in ipairs(redis.call('ZRANGE', set, 0, MOST_TENANTS - 1)) do
      local first = redis.call('ZRANGE', ready(lane, tenant), 0, 0, 'WITHSCORES')[2]
      if first then
        local one = found[class_of(tenant)]
        one.jobs = one.jobs + redis.call('ZCARD', ready(lane, tenant))
        one.oldest_s = math.max(one.oldest_s, t - tonumber(first))
      end
    end
  end
  return found
end

local lanes = {}
for _, lane in ipairs({'interactive', 'batch'}) do
  local lines, units = 0, tonumber(redis.call('HGET', p .. ':load', lane .. ':units') or 0)
  local parked_jobs = redis.call('ZCARD', parked(lane))
  for _, one in pairs(placeless(lane)) do
    lines, units = lines + one.jobs, units + one.units
  end
  lanes[lane] = {
    waiting = waiting(lane), parked = parked_jobs, flight = redis.call('ZCARD', flight(lane)),
    leases = redis.call('ZCARD', leases(lane)), lines = math.max(0, lines - math.min(parked_jobs, MOST_PARKED)), units = math.max(0, units),
  }
end

local counts, flat = {}, redis.call('HGETALL', p .. ':counts')
for i = 1, #flat, 2 do counts[flat[i]] = tonumber(flat[i + 1]) end
-- An empty table would be an empty list.
counts[''] = 0
local due = redis.call('ZRANGE', p .. ':post', 0, 0, 'WITHSCORES')[2]
return cjson.encode({
  lanes = lanes, paused = redis.call('ZCARD', p .. ':later'), batches = redis.call('ZCARD', p .. ':feeding'), counts = counts,
  speed = tonumber(redis.call('GET', p .. ':speed') or 0), late_s = due and math.max(0, t - tonumber(due)) or 0,
})
