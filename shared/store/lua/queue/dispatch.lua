--- @include lib/fair_schedule
--- @include lib/job_record
--- @include lib/outcomes
--- @include lib/placement
--- @include lib/queue_keys
--- @include lib/tenant_limits
--- @include lib/time
--- @args dispatcher lock_s:number places:number aging_s:number most:number
-- Takes jobs out of the ready sets, as many as there are places, for the one dispatcher of all workers.
-- Returns {0} when another dispatcher holds the lock, else {1, id, due stage, has priority (1 or 0), ...}.
--
-- Fair between tenants by units and weight, not by jobs: a tenant's score in the fair schedule is what it was given so far
-- over its weight; the smallest score is served next and pays for what it gets. A tenant that comes back starts at the score
-- that was served last, unless it still owes (start-time fair queueing, Goyal, Vin and Cheng, SIGCOMM 1996, section 2:
-- deficit round-robin without a quantum, which would have to be as large as the largest job). While two tenants wait, what
-- they were given over their weights differs by at most one job of each. O(log n) a job.
-- A tenant at its cap is throttled until one of its jobs comes back; no other tenant waits for it.
-- Interactive jobs may use all places; batch jobs get what is left. While interactive jobs leave nothing, a batch lane whose
-- head has waited for aging_s still gets a fifth of the places, with priority in Celery, too.
local lock = p .. ':lock:dispatch'
local holder = redis.call('GET', lock)
if holder and holder ~= dispatcher then return {0} end
redis.call('SET', lock, dispatcher, 'PX', math.floor(lock_s * 1000))
redis.call('DEL', p .. ':notify:dispatch')
local t = now()

for _, id in ipairs(redis.call('ZRANGEBYSCORE', p .. ':delayed', '-inf', t, 'LIMIT', 0, most)) do
  redis.call('ZREM', p .. ':delayed', id)
  local job = read_job(id)
  if job then enqueue(job) end
end

local result = redis.call('SPOP', p .. ':unsettled')
if result then settle(result) end

local function head(lane)
  while true do
    local next_one = redis.call('ZRANGE', schedule_key(lane), 0, 0, 'WITHSCORES')
    local tenant, score = next_one[1], next_one[2]
    if not tenant then
      if redis.call('EXISTS', throttled_key(lane)) == 0 then
        redis.call('HDEL', p .. ':load', lane .. ':jobs', lane .. ':units')
      end
      return nil
    end
    local first = redis.call('ZRANGE', ready_key(lane, tenant), 0, 0, 'WITHSCORES')
    if first[1] and not is_at_cap(tenant) then return tenant, first[1], tonumber(first[2]), score end
    redis.call('ZREM', schedule_key(lane), tenant)
    if first[1] then
      redis.call('ZADD', throttled_key(lane), score, tenant)
    else
      redis.call('HSET', p .. ':virtual_time', lane, score)
    end
  end
end

local reply = {1}
local function dispatch(lane, tenant, id, score, has_priority)
  local job = read_job(id)
  if not job then
    redis.call('ZREM', ready_key(lane, tenant), id)
    return
  end
  take_out(job)
  redis.call('HSET', p .. ':virtual_time', lane, score)
  pay(lane, tenant, job.units)
  put_in_flight(job, dispatched_key(lane), t)
  reply[#reply + 1] = id
  reply[#reply + 1] = job.due
  reply[#reply + 1] = has_priority and '1' or '0'
end

local function in_flight(lane) return redis.call('ZCARD', dispatched_key(lane)) + redis.call('ZCARD', leases_key(lane)) end

for _ = 1, most do
  local tenant, id, since, score = head('interactive')
  if id and in_flight('interactive') < places then
    dispatch('interactive', tenant, id, score, true)
  else
    local interactive_waits = id
    tenant, id, since, score = head('batch')
    if not id then break end
    local is_crowded = in_flight('interactive') + in_flight('batch') >= places
    local is_aged = interactive_waits and t - since > aging_s and in_flight('batch') < math.ceil(places / 5)
    if is_crowded and not is_aged then break end
    dispatch('batch', tenant, id, score, is_crowded)
  end
end
return reply
