-- Words that every script knows. ARGV[1] is the prefix of every key; shared/job_store/keys.py says what is where.
-- Time is Redis's own clock, never a worker's: leases must not depend on clocks that differ.
local p = ARGV[1]
local EVENTS_KEPT = 10000
local OVER = {succeeded = true, failed = true, canceled = true, expired = true}

local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) + tonumber(t[2]) / 1e6
end

-- A time as a record holds it: to the microsecond, so that jobs keep the order in which they came.
local function stamp() return string.format('%.6f', now()) end

local function record(id) return p .. ':job:' .. id end
local function ready(lane, tenant) return p .. ':ready:' .. lane .. ':' .. tenant end
local function turns(lane) return p .. ':turns:' .. lane end
local function flight(lane) return p .. ':flight:' .. lane end
local function leases(lane) return p .. ':leases:' .. lane end

-- What every decision needs of a record; nil when there is no such job.
local function read(id)
  local f = redis.call('HMGET', record(id), 'lane', 'tenant', 's', 'due', 'n', 'holder', 'cancel', 'units', 'at')
  if not f[1] then return nil end
  return {
    id = id, lane = f[1], tenant = f[2], status = f[3] or 'queued', due = f[4] or 'identify',
    attempt = tonumber(f[5] or 0), holder = f[6] or '', cancel = f[7], units = tonumber(f[8]), at = tonumber(f[9]),
  }
end

local function ring_pump()
  if redis.call('LLEN', p .. ':bell') == 0 then redis.call('LPUSH', p .. ':bell', 1) end
end

-- A visible change: the sequence rises, and whoever waits for the job hears of it.
local function announce(id)
  local sequence = redis.call('HINCRBY', record(id), 'seq', 1)
  -- A record without one is at 1: a job that waits has no field that it can do without.
  if sequence == 1 then sequence = redis.call('HINCRBY', record(id), 'seq', 1) end
  redis.call('XADD', p .. ':events', 'MAXLEN', '~', EVENTS_KEPT, '*', 'j', id, 's', sequence)
end

local function count_load(lane, jobs, units)
  redis.call('HINCRBY', p .. ':load', lane .. ':jobs', jobs)
  redis.call('HINCRBYFLOAT', p .. ':load', lane .. ':units', units)
end

-- Into the ready set. The score is when the job was submitted, so a job that comes back stands before all newer ones.
-- A tenant without a turn starts at the smallest score there is: idling earns no credit, and none is lost by it.
local function enqueue(job)
  if redis.call('ZADD', ready(job.lane, job.tenant), job.at, job.id) == 0 then return end
  local first = redis.call('ZRANGE', turns(job.lane), 0, 0, 'WITHSCORES')
  redis.call('ZADD', turns(job.lane), 'NX', first[2] or 0, job.tenant)
  count_load(job.lane, 1, job.units)
  ring_pump()
end

-- Out of wherever the job is.
local function take_out(job)
  if redis.call('ZREM', ready(job.lane, job.tenant), job.id) == 1 then count_load(job.lane, -1, -job.units) end
  redis.call('ZREM', p .. ':later', job.id)
  redis.call('ZREM', flight(job.lane), job.id)
  redis.call('ZREM', leases(job.lane), job.id)
end

local function held(job) return redis.call('ZSCORE', leases(job.lane), job.id) end

-- Whether this attempt may still speak for the job: it holds the lease and nobody has claimed the job since.
local function speaks(job, attempt) return job and job.attempt == tonumber(attempt) and held(job) end

-- The end: nothing changes a job after this.
local function close(job, status, expiry_s)
  take_out(job)
  redis.call('HSET', record(job.id), 's', status, 'ended', stamp())
  redis.call('HDEL', record(job.id), 'holder', 'cancel', 'losses', 'tries')
  announce(job.id)
  redis.call('EXPIRE', record(job.id), expiry_s)
  ring_pump()
end

local function fail(job, error, expiry_s)
  redis.call('HSET', record(job.id), 'error', error)
  close(job, 'failed', expiry_s)
end

-- Back to the front of its lane; a job that the person took back ends here instead.
local function put_back(job, expiry_s)
  if job.cancel then return close(job, 'canceled', expiry_s) end
  take_out(job)
  redis.call('HSET', record(job.id), 's', 'queued')
  redis.call('HDEL', record(job.id), 'holder', 'step', 'steps')
  enqueue(job)
  announce(job.id)
end

-- A worker died or fell silent under the job. Too many losses, and the job itself is to blame.
local function lose(job, most, expiry_s, error)
  local losses = redis.call('HINCRBY', record(job.id), 'losses', 1)
  if losses >= tonumber(most) and not job.cancel then return fail(job, error, expiry_s) end
  put_back(job, expiry_s)
end
