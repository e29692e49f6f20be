-- ARGV: prefix, pumper, lock_s, places, aging_s, most at once. Takes jobs out of the ready sets, as many as there are places, for one
-- pumper of the whole fleet. Returns {0} when another one pumps, else {1, id, due stage, goes first (1 or 0), ...}.
--
-- Fair between tenants by units, not by jobs: a tenant's score in `turns` is what it was given so far, the smallest is
-- served next and pays for what it gets (start-time fair queueing: deficit round-robin without a quantum, which would have
-- to be as large as the largest job). O(log n) a job.
-- Interactive jobs have all the places to themselves; batch jobs have what is left. While interactive jobs leave nothing,
-- a batch lane whose head has waited for aging_s still gets a fifth of the places, and goes first in Celery too.
local lock = p .. ':pump'
local holder = redis.call('GET', lock)
if holder and holder ~= ARGV[2] then return {0} end
redis.call('SET', lock, ARGV[2], 'PX', math.floor(tonumber(ARGV[3]) * 1000))
redis.call('DEL', p .. ':bell')
local t, places, aging_s, most = now(), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

for _, id in ipairs(redis.call('ZRANGEBYSCORE', p .. ':later', '-inf', t, 'LIMIT', 0, most)) do
  redis.call('ZREM', p .. ':later', id)
  local job = read(id)
  if job then enqueue(job) end
end

local function head(lane)
  while true do
    local tenant = redis.call('ZRANGE', turns(lane), 0, 0)[1]
    if not tenant then
      redis.call('HDEL', p .. ':load', lane .. ':jobs', lane .. ':units')
      return nil
    end
    local first = redis.call('ZRANGE', ready(lane, tenant), 0, 0, 'WITHSCORES')
    if first[1] then return tenant, first[1], tonumber(first[2]) end
    redis.call('ZREM', turns(lane), tenant)
  end
end

local rings = {1}
local function hand_out(lane, tenant, id, first)
  local job = read(id)
  if not job then
    redis.call('ZREM', ready(lane, tenant), id)
    return
  end
  take_out(job)
  redis.call('ZINCRBY', turns(lane), job.units, tenant)
  redis.call('ZADD', flight(lane), t, id)
  rings[#rings + 1] = id
  rings[#rings + 1] = job.due
  rings[#rings + 1] = first and '1' or '0'
end

local function abroad(lane) return redis.call('ZCARD', flight(lane)) + redis.call('ZCARD', leases(lane)) end

for _ = 1, most do
  local tenant, id = head('interactive')
  if id and abroad('interactive') < places then
    hand_out('interactive', tenant, id, true)
  else
    local waiting = id
    local since
    tenant, id, since = head('batch')
    if not id then break end
    local crowded = abroad('interactive') + abroad('batch') >= places
    local aged = waiting and t - since > aging_s and abroad('batch') < math.ceil(places / 5)
    if crowded and not aged then break end
    hand_out('batch', tenant, id, crowded)
  end
end
return rings
