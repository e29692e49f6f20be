--- @include lib/batch_events
--- @include lib/batch_keys
--- @include lib/job_keys
--- @include lib/notify
--- @include lib/time
-- Counts that one job more or less of its batch is running.
local function count_running(job, by)
  if not job.batch or redis.call('EXISTS', batch_key(job.batch)) == 0 then return end
  redis.call('HINCRBY', batch_key(job.batch), 'running', by)
  announce_batch(job.batch)
end

-- The rate of a batch is the number of lines that ended since a mark that is one to two minutes old.
local function mark_rate(id)
  local MARK_S = 60
  local f = redis.call('HMGET', batch_key(id), 'markb', 'n:succeeded', 'n:failed', 'n:canceled', 'n:expired')
  local t, before = now(), tonumber(string.match(f[1] or '0', '^[%d.]+'))
  if t - before < MARK_S then return end
  local over = (f[2] or 0) + (f[3] or 0) + (f[4] or 0) + (f[5] or 0)
  if f[1] then redis.call('HSET', batch_key(id), 'marka', f[1]) end
  redis.call('HSET', batch_key(id), 'markb', string.format('%.3f %d %d', t, over, f[2] or 0))
end

-- The end of a job is counted once, in the same step; its id waits until the batch feeder has written its line.
local function leave_batch(job, status)
  if not job.batch or redis.call('EXISTS', batch_key(job.batch)) == 0 then return end
  local batch = batch_key(job.batch)
  redis.call('SREM', open_key(job.batch), job.id)
  redis.call('HINCRBY', batch, 'open', -1)
  redis.call('HINCRBY', batch, 'n:' .. status, 1)
  if job.status == 'running' then redis.call('HINCRBY', batch, 'running', -1) end
  local reused, begun = 0, false
  for _, field in ipairs(redis.call('HKEYS', job_key(job.id))) do
    if field:sub(1, 2) == 'r:' then reused = reused + 1 end
    begun = begun or field == 'started'
  end
  if reused > 0 then redis.call('HINCRBY', batch, 'saved', reused) end
  -- Its units are used up: to run again it is charged again.
  if begun and status ~= 'succeeded' then redis.call('HINCRBY', batch, 'owed', job.units) end
  redis.call('RPUSH', ended_key(job.batch, status == 'succeeded' and 'output' or 'errors'), job.id)
  mark_rate(job.batch)
  announce_batch(job.batch)
  notify('feed')
end
