--- @include lib/fair_schedule
--- @include lib/notify
--- @include lib/queue_keys
--- @include lib/result_keys
-- Where a job is: in at most one of ready, delayed, dispatched, leases and waiting.
local function count_load(lane, jobs, units)
  redis.call('HINCRBY', p .. ':load', lane .. ':jobs', jobs)
  redis.call('HINCRBY', p .. ':load', lane .. ':units', units)
end

-- Into the ready set. The score is when the job was submitted, so a job that comes back stands before all newer ones.
-- Idling earns a tenant no credit and costs it none.
local function enqueue(job)
  if redis.call('ZADD', ready_key(job.lane, job.tenant), job.at, job.id) == 0 then return end
  if not redis.call('ZSCORE', throttled_key(job.lane), job.tenant) then
    redis.call('ZADD', schedule_key(job.lane), 'NX', virtual_time(job.lane), job.tenant)
  end
  count_load(job.lane, 1, job.units)
  notify('dispatch')
end

-- Out of the place where the job is. Differences are taken from 0: the opposite of 0 is -0, which Redis 7.0 refuses.
-- stays_in_flight: its workers keep it, and it counts against its tenant's cap.
local function take_out(job, stays_in_flight)
  if redis.call('ZREM', ready_key(job.lane, job.tenant), job.id) == 1 then count_load(job.lane, -1, 0 - job.units) end
  redis.call('ZREM', p .. ':delayed', job.id)
  redis.call('ZREM', dispatched_key(job.lane), job.id)
  redis.call('ZREM', leases_key(job.lane), job.id)
  if job.waits and redis.call('ZREM', waiting_key(job.lane), job.id) == 1 then
    redis.call('ZREM', followers_key(job.waits), job.id)
  end
  if not stays_in_flight and redis.call('SREM', in_flight_key(job.lane, job.tenant), job.id) == 1 then
    unthrottle(job.tenant)
  end
end

-- To the workers: dispatched, or under a lease.
local function put_in_flight(job, set, score)
  redis.call('ZADD', set, score, job.id)
  redis.call('SADD', in_flight_key(job.lane, job.tenant), job.id)
end
