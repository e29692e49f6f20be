--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, pumper, lock_s, places, aging_s, most at once. Takes jobs out of the ready sets, as many as there are
-- places, for one pumper of the whole fleet. Returns {0} when another one pumps, else {1, id, due stage, goes first (1 or 0),
-- ...}.
--
-- Fair between tenants by units and weight, not by jobs: a tenant's score in `turns` is what it was given so far over its
-- weight, the smallest is served next and pays for what it gets. A tenant that comes back starts at the score that was
-- served last, unless it still owes (start-time fair queueing, Goyal, Vin and Cheng, SIGCOMM 1996, section 2: deficit
-- round-robin without a quantum, which would have to be as large as the largest job). While two tenants wait, what they were
-- given over their weights differs by at most one job of each. O(log n) a job.
-- A tenant at its cap stands aside, in `capped`, until a job of it comes back; nobody waits behind it.
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

local result = redis.call('SPOP', p .. ':unsettled')
if result then settle(result) end

local function head(lane)
  while true do
    local next_one = redis.call('ZRANGE', turns(lane), 0, 0, 'WITHSCORES')
    local tenant, score = next_one[1], next_one[2]
    if not tenant then
      if redis.call('EXISTS', capped(lane)) == 0 then
        redis.call('HDEL', p .. ':load', lane .. ':jobs', lane .. ':units')
      end
      return nil
    end
    local first = redis.call('ZRANGE', ready(lane, tenant), 0, 0, 'WITHSCORES')
    if first[1] and not at_cap(tenant) then return tenant, first[1], tonumber(first[2]), score end
    redis.call('ZREM', turns(lane), tenant)
    if first[1] then redis.call('ZADD', capped(lane), score, tenant) else redis.call('HSET', p .. ':clock', lane, score) end
  end
end

local rings = {1}
local function hand_out(lane, tenant, id, score, first)
  local job = read(id)
  if not job then
    redis.call('ZREM', ready(lane, tenant), id)
    return
  end
  take_out(job)
  redis.call('HSET', p .. ':clock', lane, score)
  pay(lane, tenant, job.units)
  send_out(job, flight(lane), t)
  rings[#rings + 1] = id
  rings[#rings + 1] = job.due
  rings[#rings + 1] = first and '1' or '0'
end

local function out(lane) return redis.call('ZCARD', flight(lane)) + redis.call('ZCARD', leases(lane)) end

for _ = 1, most do
  local tenant, id, since, score = head('interactive')
  if id and out('interactive') < places then
    hand_out('interactive', tenant, id, score, true)
  else
    local waiting = id
    tenant, id, since, score = head('batch')
    if not id then break end
    local crowded = out('interactive') + out('batch') >= places
    local aged = waiting and t - since > aging_s and out('batch') < math.ceil(places / 5)
    if crowded and not aged then break end
    hand_out('batch', tenant, id, score, crowded)
  end
end
return rings
