--- @include lib/counters
--- @include lib/events
--- @include lib/job_keys
--- @include lib/job_record
--- @include lib/lifecycle
--- @include lib/notify
--- @include lib/placement
--- @include lib/references
--- @include lib/result_keys
--- @include lib/single_flight
-- How followers learn the outcome of a result.
local SETTLED_AT_ONCE = 500
-- Seconds that an outcome is kept, for jobs that looked for the result just before it was stored: they look again.
local OUTCOME_S = 60

-- Names and values of these fields, in one list.
local function flatten(fields)
  local flat = {}
  for name, value in pairs(fields or {}) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  return flat
end

-- A stage is done: the next one is due, or the job is over. Only the end of the job's last stage writes its picture.
-- done: as jobs/finish.lua takes it.
local function complete(job, done, expiry_s)
  local is_over = not done.next or done.stage == job.last
  local fields = {}
  for name, value in pairs(done.found or {}) do fields[name] = value end
  fields['o:' .. done.stage] = done.digest
  fields['t:' .. done.stage] = done.seconds
  if job.try > 0 then
    -- Of all tries together.
    local before = redis.call('HGET', job_key(job.id), 't:' .. done.stage) or 0
    fields['t:' .. done.stage] = string.format('%.3f', done.seconds + before)
  end
  if done.warnings then fields['w:' .. done.stage] = done.warnings end
  if done.reused then fields['r:' .. done.stage] = 1 end
  if not is_over then fields.due = done.next elseif done.picture then fields.picture = done.picture end
  for stage, digest in pairs(done.outputs or {}) do fields['o:' .. stage] = digest end
  add_reference(job, done.stage, done.digest, done.from_photos)
  count('done:' .. done.stage .. (done.reused and ':reused' or ':made'))
  redis.call('HSET', job_key(job.id), unpack(flatten(fields)))
  if is_over then close(job, 'succeeded', expiry_s) end
end

-- The job fails by itself; error is JSON. found: what its stage found nevertheless, or nil.
local function fail_job(job, error, expiry_s, found)
  local code = cjson.decode(error).code
  redis.call('HSET', job_key(job.id), 'error', error, unpack(flatten(found)))
  count('failed:' .. code)
  close(job, 'failed', expiry_s)
end

-- Tells followers the outcome of the result, so many at once: the dispatcher goes on with the rest.
local function settle(result)
  local text = redis.call('GET', outcome_key(result))
  local outcome = text and cjson.decode(text) or {}
  for _, id in ipairs(redis.call('ZRANGE', followers_key(result), 0, SETTLED_AT_ONCE - 1)) do
    local job = read_job(id)
    if job then
      take_out(job)
      redis.call('HDEL', job_key(id), 'waits')
      job.waits = nil
      if outcome.error then
        fail_job(job, outcome.error, outcome.expiry_s, outcome.found)
      elseif outcome.done then
        complete(job, outcome.done, outcome.expiry_s)
        if outcome.done.next and outcome.done.stage ~= job.last then
          enqueue(job)
          announce(id)
        end
      else
        enqueue(job)
      end
    else
      redis.call('ZREM', followers_key(result), id)
    end
  end
  if redis.call('EXISTS', followers_key(result)) == 1 then
    redis.call('SADD', p .. ':unsettled', result)
    notify('dispatch')
  elseif outcome.error then
    redis.call('DEL', outcome_key(result))
  else
    redis.call('EXPIRE', outcome_key(result), OUTCOME_S)
  end
end

-- The outcome of a result: {done, expiry_s} as `complete` takes it, {error, expiry_s, found}, or {} (look for it).
local function resolve(result, outcome)
  -- A job that asks later tries again.
  if outcome.error and redis.call('EXISTS', followers_key(result)) == 0 then return end
  redis.call('SET', outcome_key(result), cjson.encode(outcome))
  settle(result)
end

-- The job fails, and with it all followers of the result of its stage: the order is to blame. A part of a stage that it
-- owned does not fail with the whole.
local function fail(job, error, expiry_s, found)
  local result = each_line(job.owns)()
  if result then
    job.owns = job.owns:sub(#result + 2)
    redis.call('DEL', owner_key(result))
  end
  fail_job(job, error, expiry_s, found)
  if result then resolve(result, {error = error, expiry_s = expiry_s, found = found}) end
end
