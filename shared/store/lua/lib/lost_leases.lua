--- @include lib/counters
--- @include lib/job_keys
--- @include lib/lifecycle
--- @include lib/outcomes
-- A worker died or went silent under the job. After too many losses the job itself is to blame, and fails with the error.
local function lose_lease(job, max_losses, expiry_s, error)
  count('lost:' .. job.due)
  local losses = redis.call('HINCRBY', job_key(job.id), 'losses', 1)
  if losses >= max_losses and not job.cancel then return fail(job, error, expiry_s) end
  requeue(job, expiry_s)
end
