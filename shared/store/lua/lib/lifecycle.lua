-- How a job goes on, goes back or ends, and what it has of the results of stages.

-- Pictures a second that a tenant gets in a lane: an average over the last minute or so that fades by itself.
local PACE_S = 60
local function pace(lane, tenant, made)
  local key, t = p .. ':pace:' .. lane, now()
  local rate, at = string.match(redis.call('HGET', key, tenant) or '0 0', '(%S+) (%S+)')
  rate = tonumber(rate) * math.exp((tonumber(at) - t) / PACE_S) + made / PACE_S
  if made > 0 then redis.call('HSET', key, tenant, string.format('%.6g %.3f', rate, t)) end
  return rate
end

-- How long it may take to delete a result's blobs once nobody has it, or a photo's.
local ERASED_S = 60

local function uses(tenant, stage, digest) return p .. ':uses:' .. tenant .. '/' .. stage .. '/' .. digest end
local function erased(tenant, stage, digest) return p .. ':erased:' .. tenant .. '/' .. stage .. '/' .. digest end
local function faces(tenant, photo) return p .. ':faces:' .. tenant .. ':' .. photo end
local function photo_of(tenant, photo) return p .. ':photo:' .. tenant .. ':' .. photo end
local function clearing(tenant, photo) return p .. ':clearing:' .. tenant .. ':' .. photo end
local function fading(tenant, photo) return p .. ':fading:' .. tenant .. ':' .. photo end

-- Calls with every photo that a job asks for.
local function each_photo(id, call)
  local spec = cjson.decode(redis.call('HGET', record(id), 'spec'))
  for _, concept in ipairs(spec.concepts) do
    for _, photo in ipairs(concept.photos) do call(photo) end
  end
end

-- The job has this result of a stage, which so is kept for as long as the job is.
local function use(job, stage, digest)
  redis.call('SADD', uses(job.tenant, stage, digest), job.id)
  if stage == 'identify' then
    each_photo(job.id, function(photo) redis.call('SADD', faces(job.tenant, photo), digest) end)
  end
end

-- Whether a photo of the job was erased after the job had begun with it.
local function lost_photo(job)
  local found = false
  each_photo(job.id, function(photo)
    found = found or redis.call('EXISTS', erased(job.tenant, 'photo', photo)) == 1
  end)
  return found
end

-- The end: nothing changes a job after this.
local function close(job, status, expiry_s)
  if status == 'canceled' and job.cancel == 'expired' then status = 'expired' end
  take_out(job)
  if redis.call('HEXISTS', record(job.id), 'picture') == 1 then pace(job.lane, job.tenant, 1) end
  redis.call('HSET', record(job.id), 's', status, 'ended', stamp())
  redis.call('DEL', p .. ':preview:' .. job.id)
  redis.call('HDEL', record(job.id), 'holder', 'cancel', 'losses', 'tries', 'show', 'shown')
  leave_batch(job, status)
  count('ended:' .. job.lane .. ':' .. status)
  announce(job.id)
  -- Not by EXPIRE: the record knows which blobs are to go with it.
  redis.call('ZADD', p .. ':kept', now() + tonumber(redis.call('HGET', record(job.id), 'keep') or expiry_s), job.id)
  redis.call('ZREM', p .. ':deadlines', job.id)
  let_go(job)
  tell_end(job, status)
  ring_pump()
end

-- A result that was to be made fails with its maker: it is the order's fault, so all who wait for it end the same way.
-- found: what its stage found nevertheless, or nil.
local function fail(job, error, expiry_s, found)
  local result = whole_of(job)
  redis.call('HSET', record(job.id), 'error', error, unpack(fields_of(found)))
  count('failed:' .. cjson.decode(error).code)
  close(job, 'failed', expiry_s)
  if result then resolve(result, 'failed', 'error', error, 'expiry_s', expiry_s, 'found', found or '') end
end

-- Back to the front of its lane; a job that the person took back ends here instead.
local function put_back(job, expiry_s)
  if job.cancel then return close(job, 'canceled', expiry_s) end
  take_out(job)
  if job.status == 'running' then count_running(job, -1) end
  redis.call('HSET', record(job.id), 's', 'queued')
  redis.call('HDEL', record(job.id), 'holder', 'step', 'steps')
  enqueue(job)
  announce(job.id)
  let_go(job)
end

-- Aside until then; a job that the person took back ends here instead.
local function pause(job, over, expiry_s)
  if job.cancel then return close(job, 'canceled', expiry_s) end
  take_out(job)
  if job.status == 'running' then count_running(job, -1) end
  redis.call('HSET', record(job.id), 's', 'queued')
  redis.call('HDEL', record(job.id), 'holder', 'step', 'steps')
  redis.call('ZADD', p .. ':later', over, job.id)
  announce(job.id)
  let_go(job, over)
end

-- A worker died or fell silent under the job. Too many losses, and the job itself is to blame.
local function lose(job, most, expiry_s, error)
  count('lost:' .. job.due)
  local losses = redis.call('HINCRBY', record(job.id), 'losses', 1)
  if losses >= tonumber(most) and not job.cancel then return fail(job, error, expiry_s) end
  put_back(job, expiry_s)
end
