--- @include lib/queue_keys
local function is_held(job) return redis.call('ZSCORE', leases_key(job.lane), job.id) end

-- Whether the attempt holds the lease of the job and no later attempt has claimed it.
local function is_current(job, attempt) return job and job.attempt == attempt and is_held(job) end

-- Prolongs the holder's lease. Returns why the holder must stop ('canceled' or 'draining'), or nil.
local function renew_lease(job, worker, until_s)
  redis.call('ZADD', leases_key(job.lane), until_s, job.id)
  if job.cancel then return 'canceled' end
  return redis.call('HGET', p .. ':worker:' .. worker, 'draining') == '1' and 'draining' or nil
end
