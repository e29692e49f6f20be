-- Shared work is done once. A result is a stage's output or a part of one, named by where it is stored. Whoever holds a lease
-- and asks for results that nobody makes is their maker; whoever asks for one that is being made is parked: it has no lease
-- and no place in a queue until the maker finishes (all who wait are served or let go), fails (all fail alike) or gives up
-- (the first who waits is called into its lane, to make it). A called job keeps `waits`: when it ends, the next is called.
local SETTLED_AT_ONCE = 500
-- How long a result is known to be made, for those who looked for it just before: they look again.
local MADE_S = 60
-- Those of the interactive lane are called first.
local LATER_LANE = 1e11

local function maker(result) return p .. ':maker:' .. result end
local function made(result) return p .. ':made:' .. result end
local function result_of(job, stage, digest) return job.tenant .. '/' .. stage .. '/' .. digest end
local function lines(text) return string.gmatch(text or '', '[^\n]+') end

-- The job that makes the result under a lease, or that was called to and has not come yet.
local function maker_of(result)
  local id = redis.call('GET', maker(result))
  local job = id and read(id)
  if not job or OVER[job.status] then return nil end
  if held(job) then return job.makes and job end
  if job.waits == result and not redis.call('ZSCORE', parked(job.lane), id) then return job end
  return nil
end

-- Calls the first of those who wait, at once or (at) when the pause of the one who gave up is over.
local function call_next(result, at)
  if maker_of(result) then return end
  redis.call('DEL', maker(result))
  while true do
    local id = redis.call('ZRANGE', waiters(result), 0, 0)[1]
    if not id then return end
    local job = read(id)
    if job then
      take_out(job)
      redis.call('SET', maker(result), id)
      if at then redis.call('ZADD', p .. ':later', at, id) else enqueue(job) end
      return
    end
    redis.call('ZREM', waiters(result), id)
  end
end

-- The result of the whole stage that the job makes, no longer the job's: a part of a stage outlives the failure of the whole.
function whole_of(job)
  local result = lines(job.makes)()
  if not result then return nil end
  job.makes = job.makes:sub(#result + 2)
  redis.call('DEL', maker(result))
  return result
end

-- The job, which has just been moved, makes and waits for nothing any more.
function let_go(job, at)
  if not job.makes and not job.waits then return end
  redis.call('HDEL', record(job.id), 'makes', 'waits')
  local makes, waits = job.makes, job.waits
  job.makes, job.waits = nil, nil
  for result in lines(makes) do call_next(result, at) end
  if waits then call_next(waits, at) end
end

-- A stage is done: the next is due, or the job is over. The job's last stage is the only place that points to a picture.
-- done: stage, due, digest, seconds, warnings, picture, reused, expiry_s, found, all as text, '' for none;
-- outputs: digests of the stages of an earlier try, when that is the one to keep.
local function complete(job, done)
  use(job, done.stage, done.digest)
  count('done:' .. done.stage .. (done.reused ~= '' and ':reused' or ':made'))
  local seconds = done.seconds
  -- Of all tries together.
  if job.try > 0 then
    seconds = string.format('%.3f', seconds + (redis.call('HGET', record(job.id), 't:' .. done.stage) or 0))
  end
  local is_over = done.due == '' or done.stage == job.last
  local fields = fields_of(done.found)
  local function set(name, value)
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  set('o:' .. done.stage, done.digest)
  set('t:' .. done.stage, seconds)
  if done.warnings ~= '[]' then set('w:' .. done.stage, done.warnings) end
  if done.reused ~= '' then set('r:' .. done.stage, 1) end
  if not is_over then set('due', done.due) elseif done.picture ~= '' then set('picture', done.picture) end
  for stage, digest in pairs(done.outputs or {}) do set('o:' .. stage, digest) end
  redis.call('HSET', record(job.id), unpack(fields))
  if is_over then close(job, 'succeeded', done.expiry_s) end
end

-- Tells those who wait what became of the result, so many at once: the pump goes on with the rest.
local function settle(result)
  local flat, outcome = redis.call('HGETALL', made(result)), {}
  for i = 1, #flat, 2 do outcome[flat[i]] = flat[i + 1] end
  for _, id in ipairs(redis.call('ZRANGE', waiters(result), 0, SETTLED_AT_ONCE - 1)) do
    local job = read(id)
    if job then
      take_out(job)
      redis.call('HDEL', record(id), 'waits')
      job.waits = nil
      if outcome.as == 'failed' then
        fail(job, outcome.error, outcome.expiry_s, outcome.found)
      elseif outcome.as == 'done' then
        complete(job, outcome)
        if outcome.due ~= '' and outcome.stage ~= job.last then
          enqueue(job)
          announce(id)
        end
      else
        enqueue(job)
      end
    else
      redis.call('ZREM', waiters(result), id)
    end
  end
  if redis.call('EXISTS', waiters(result)) == 1 then
    redis.call('SADD', p .. ':unsettled', result)
    ring_pump()
  elseif outcome.as == 'failed' then
    redis.call('DEL', made(result))
  else
    redis.call('EXPIRE', made(result), MADE_S)
  end
end

-- What became of a result: 'done' (with the fields of `complete`), 'there' (look for it), or 'failed' (error, expiry_s).
function resolve(result, as, ...)
  local waits = redis.call('EXISTS', waiters(result)) == 1
  -- Whoever comes later tries what failed anew.
  if as == 'failed' and not waits then return end
  redis.call('DEL', made(result))
  redis.call('HSET', made(result), 'as', as, ...)
  settle(result)
end
