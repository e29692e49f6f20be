--- @include lib/batch_jobs
--- @include lib/counters
--- @include lib/events
--- @include lib/job_keys
--- @include lib/job_webhooks
--- @include lib/notify
--- @include lib/placement
--- @include lib/single_flight
--- @include lib/throughput
--- @include lib/time
-- How a job ends, or goes back to wait.

-- The end: nothing changes a job after this.
local function close(job, status, expiry_s)
  if status == 'canceled' and job.cancel == 'expired' then status = 'expired' end
  local kept_until = now() + tonumber(redis.call('HGET', job_key(job.id), 'keep') or expiry_s)
  take_out(job)
  if redis.call('HEXISTS', job_key(job.id), 'picture') == 1 then throughput(job.lane, job.tenant, 1) end
  redis.call('HSET', job_key(job.id), 's', status, 'ended', stamp())
  redis.call('DEL', p .. ':preview:' .. job.id)
  redis.call('HDEL', job_key(job.id), 'holder', 'cancel', 'losses', 'tries', 'preview_until', 'preview_step')
  leave_batch(job, status)
  count('ended:' .. job.lane .. ':' .. status)
  announce(job.id)
  -- Not by EXPIRE: the record knows which blobs are erased with it.
  redis.call('ZADD', p .. ':kept', kept_until, job.id)
  redis.call('ZREM', p .. ':deadlines', job.id)
  release_results(job)
  tell_job_end(job, status)
  notify('dispatch')
end

-- Out of the worker's hands and queued, in no place yet.
local function give_back(job)
  take_out(job)
  if job.status == 'running' then count_running(job, -1) end
  redis.call('HSET', job_key(job.id), 's', 'queued')
  redis.call('HDEL', job_key(job.id), 'holder', 'step', 'steps')
end

-- Back to the front of its lane. A canceled job ends here instead.
local function requeue(job, expiry_s)
  if job.cancel then return close(job, 'canceled', expiry_s) end
  give_back(job)
  enqueue(job)
  announce(job.id)
  release_results(job)
end

-- Delayed until then. A canceled job ends here instead.
local function delay(job, until_s, expiry_s)
  if job.cancel then return close(job, 'canceled', expiry_s) end
  give_back(job)
  redis.call('ZADD', p .. ':delayed', until_s, job.id)
  announce(job.id)
  release_results(job, until_s)
end
