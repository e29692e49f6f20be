-- Words that every script knows. ARGV[1] is the prefix of every key; shared/store/keys.py says what is where.
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

-- What stages found, a line each with the field's name first, as names and values.
local function fields_of(text)
  local fields = {}
  for name, value in string.gmatch(text or '', '(%S+) ([^\n]+)') do
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  return fields
end

local function record(id) return p .. ':job:' .. id end
local function ready(lane, tenant) return p .. ':ready:' .. lane .. ':' .. tenant end
local function turns(lane) return p .. ':turns:' .. lane end
local function flight(lane) return p .. ':flight:' .. lane end
local function leases(lane) return p .. ':leases:' .. lane end
local function capped(lane) return p .. ':capped:' .. lane end
local function abroad(lane, tenant) return p .. ':abroad:' .. lane .. ':' .. tenant end
local function limits(tenant) return p .. ':tenant:' .. tenant end
local function batch(id) return p .. ':batch:' .. id end
local function members(id) return p .. ':open:' .. id end
local function ended(id, log) return p .. ':ended:' .. log .. ':' .. id end
local function parked(lane) return p .. ':parked:' .. lane end
local function waiters(result) return p .. ':waiters:' .. result end

-- Defined in lib/single_flight.lua, which knows who makes what and who waits for it.
local let_go, whole_of, resolve

-- What every decision needs of a record; its units are millionths, as everywhere in Redis (shared/store/units.py); nil when there is no such job.
local function read(id)
  local f = redis.call('HMGET', record(id), 'lane', 'tenant', 's', 'due', 'n', 'holder', 'cancel', 'units', 'at', 'makes', 'waits', 'batch', 'try', 'until')
  if not f[1] then return nil end
  return {
    id = id, lane = f[1], tenant = f[2], status = f[3] or 'queued', due = f[4] or 'identify',
    attempt = tonumber(f[5] or 0), holder = f[6] or '', cancel = f[7], units = tonumber(f[8]), at = tonumber(f[9]),
    makes = f[10] or nil, waits = f[11] or nil,
    batch = f[12] or nil, try = tonumber(f[13] or 0), last = f[14] or 'verify',
  }
end

-- What happened since Redis was empty, all tenants together: queue/totals.lua reads it.
local function count(what) redis.call('HINCRBY', p .. ':counts', what, 1) end

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

local function announce_batch(id)
  local sequence = redis.call('HINCRBY', batch(id), 'seq', 1)
  redis.call('XADD', p .. ':events', 'MAXLEN', '~', EVENTS_KEPT, '*', 'j', id, 's', sequence)
end

local function ring_feeder()
  if redis.call('LLEN', p .. ':feedbell') == 0 then redis.call('LPUSH', p .. ':feedbell', 1) end
end

-- One job more or less of its batch is being worked on.
local function count_running(job, by)
  if not job.batch or redis.call('EXISTS', batch(job.batch)) == 0 then return end
  redis.call('HINCRBY', batch(job.batch), 'running', by)
  announce_batch(job.batch)
end

-- The rate of a batch is what ended since a mark that is one to two minutes old.
local function mark_rate(id)
  local MARK_S = 60
  local f = redis.call('HMGET', batch(id), 'markb', 'n:succeeded', 'n:failed', 'n:canceled', 'n:expired')
  local t, before = now(), tonumber(string.match(f[1] or '0', '^[%d.]+'))
  if t - before < MARK_S then return end
  local over = (f[2] or 0) + (f[3] or 0) + (f[4] or 0) + (f[5] or 0)
  if f[1] then redis.call('HSET', batch(id), 'marka', f[1]) end
  redis.call('HSET', batch(id), 'markb', string.format('%.3f %d %d', t, over, f[2] or 0))
end

-- The end of a job is counted once, with the end itself, and its id waits until the feeder has written what it left.
local function leave_batch(job, status)
  if not job.batch or redis.call('EXISTS', batch(job.batch)) == 0 then return end
  local b = batch(job.batch)
  redis.call('SREM', members(job.batch), job.id)
  redis.call('HINCRBY', b, 'open', -1)
  redis.call('HINCRBY', b, 'n:' .. status, 1)
  if job.status == 'running' then redis.call('HINCRBY', b, 'running', -1) end
  local reused, begun = 0, false
  for _, field in ipairs(redis.call('HKEYS', record(job.id))) do
    if field:sub(1, 2) == 'r:' then reused = reused + 1 end
    begun = begun or field == 'started'
  end
  if reused > 0 then redis.call('HINCRBY', b, 'saved', reused) end
  -- What it was submitted for is used up: to be run again it counts again.
  if begun and status ~= 'succeeded' then redis.call('HINCRBY', b, 'owed', job.units) end
  redis.call('RPUSH', ended(job.batch, status == 'succeeded' and 'output' or 'errors'), job.id)
  mark_rate(job.batch)
  announce_batch(job.batch)
  ring_feeder()
end

local function count_load(lane, jobs, units)
  redis.call('HINCRBY', p .. ':load', lane .. ':jobs', jobs)
  redis.call('HINCRBY', p .. ':load', lane .. ':units', units)
end

-- Tenants take turns by their weight: queue/dispatch.lua says how. A tenant pays for what it gets; a negative number gives back.
local function weight_of(tenant) return tonumber(redis.call('HGET', limits(tenant), 'weight') or 1) end
local function pay(lane, tenant, units) redis.call('ZADD', turns(lane), 'XX', 'INCR', units / weight_of(tenant), tenant) end

-- Where a tenant starts that had no turn: at the score that was served last, so with all the others.
local function start(lane) return tonumber(redis.call('HGET', p .. ':clock', lane) or 0) end

-- Whether as many jobs of the tenant are handed out as may be at once, in both lanes together.
local function at_cap(tenant)
  local cap = redis.call('HGET', limits(tenant), 'concurrency')
  if not cap then return false end
  local out = redis.call('SCARD', abroad('interactive', tenant)) + redis.call('SCARD', abroad('batch', tenant))
  return out >= tonumber(cap)
end

-- A tenant that stood aside because of its cap takes turns again. Standing aside earns no credit, as idling does not.
local function make_room(tenant)
  for _, lane in ipairs({'interactive', 'batch'}) do
    local score = redis.call('ZSCORE', capped(lane), tenant)
    if score and not at_cap(tenant) then
      redis.call('ZREM', capped(lane), tenant)
      redis.call('ZADD', turns(lane), 'NX', math.max(score, start(lane)), tenant)
      ring_pump()
    end
  end
end

-- Units of a limit in those that Redis counts.
local MICRO = 1e6

-- Counts a request and its units against the tenant's limits, or says which of them refuses. What is refused costs no units.
-- Requests flow into a bucket that empties evenly over its window (the generic cell rate algorithm): kept is when it will be
-- empty. Units are counted by the day, UTC. Returns {code or '', seconds until it may be tried again, then (name, quota,
-- window_s, left, seconds until all is there again) a limit}.
local function charge(tenant, requests, units)
  local f = redis.call('HMGET', limits(tenant), 'rate', 'rate_window_s', 'daily_units')
  local t, reply = now(), {'', 0}
  local function tell(...)
    for _, word in ipairs({...}) do reply[#reply + 1] = word end
  end
  if f[1] then
    local key, rate, window = p .. ':rate:' .. tenant, tonumber(f[1]), tonumber(f[2])
    local empty = math.max(t, tonumber(redis.call('GET', key) or 0))
    local after = empty + requests * window / rate
    if requests > 0 and after - t > window + 1e-6 then
      reply[1], reply[2] = 'rate_limited', math.ceil(after - t - window)
    elseif requests > 0 then
      redis.call('SET', key, string.format('%.6f', after), 'EX', math.max(1, math.ceil(after - t)))
      empty = after
    end
    local left = math.floor((window - (empty - t)) * rate / window + 1e-6)
    tell('requests', rate, window, math.max(0, left), math.ceil(empty - t))
  end
  if f[3] then
    local key, quota = p .. ':spent:' .. tenant .. ':' .. math.floor(t / 86400), tonumber(f[3]) * MICRO
    local spent, left_s = tonumber(redis.call('GET', key) or 0), math.ceil(86400 - t % 86400)
    if units > 0 and reply[1] == '' then
      if spent + units > quota then
        reply[1], reply[2] = 'quota_exceeded', left_s
      else
        spent = redis.call('INCRBY', key, units)
        redis.call('EXPIRE', key, left_s + 3600)
      end
    end
    tell('units', quota / MICRO, 86400, math.max(0, math.floor((quota - spent) / MICRO)), left_s)
  end
  return reply
end

-- The same where requests is not '', and of a request that came again, its first answer lost, nothing counts: it only hears how it
-- is. Returns {} where nothing is to count.
local function charge_once(tenant, requests, units, is_again)
  if requests == '' then return {} end
  if is_again then requests, units = 0, 0 end
  return charge(tenant, tonumber(requests), tonumber(units))
end

-- Units that were asked for before it was known that they would be drawn: they count, and are never refused.
local function spend(tenant, units)
  if not redis.call('HGET', limits(tenant), 'daily_units') then return end
  local t = now()
  local key = p .. ':spent:' .. tenant .. ':' .. math.floor(t / 86400)
  redis.call('INCRBY', key, units)
  redis.call('EXPIRE', key, math.ceil(86400 - t % 86400) + 3600)
end

-- Pixels of the largest picture that the workers draw. Nil while nobody draws, or one that draws has not said yet how much
-- it can: what may be served is not refused. Looked for once a second, however many jobs come.
local function largest()
  local known = redis.call('GET', p .. ':largest')
  if not known then
    local most, is_known = 0, true
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', p .. ':workers', now(), '+inf')) do
      local f = redis.call('HMGET', p .. ':worker:' .. name, 'role', 'draining', 'ready', 'max_pixels')
      if f[1] and f[1] ~= 'detection' and f[2] ~= '1' then
        is_known = is_known and f[3] == '1' and tonumber(f[4] or 0) > 0
        most = math.max(most, tonumber(f[4] or 0))
      end
    end
    known = is_known and most > 0 and string.format('%d', most) or ''
    redis.call('SET', p .. ':largest', known, 'PX', 1000)
  end
  return tonumber(known)
end

-- Whether no worker draws a picture of so many pixels, and how many are the most: {code, pixels}, as charge refuses.
local function too_large(pixels)
  local most = pixels > 0 and largest()
  return most and pixels > most and {'no_worker_for_size', most} or nil
end

-- Into the ready set. The score is when the job was submitted, so a job that comes back stands before all newer ones.
-- Idling earns a tenant no credit, and none is lost by it.
local function enqueue(job)
  if redis.call('ZADD', ready(job.lane, job.tenant), job.at, job.id) == 0 then return end
  if not redis.call('ZSCORE', capped(job.lane), job.tenant) then
    redis.call('ZADD', turns(job.lane), 'NX', start(job.lane), job.tenant)
  end
  count_load(job.lane, 1, job.units)
  ring_pump()
end

-- A new record, with more fields if given, and its place in the queue. Gives the time it came.
local function create(job, spec, ...)
  local at = stamp()
  redis.call('HSET', record(job.id), 'lane', job.lane, 'tenant', job.tenant, 'units', job.units, 'spec', spec, 'at', at, ...)
  for i = 1, select('#', ...), 2 do
    local name, value = select(i, ...)
    if name == 'expires' then redis.call('ZADD', p .. ':deadlines', at + value, job.id) end
  end
  enqueue({id = job.id, lane = job.lane, tenant = job.tenant, units = tonumber(job.units), at = tonumber(at)})
  return at
end

-- Out of wherever the job is. still_out: its workers keep it, and it stays counted against its tenant's cap.
local function take_out(job, still_out)
  if redis.call('ZREM', ready(job.lane, job.tenant), job.id) == 1 then count_load(job.lane, -1, 0 - job.units) end
  redis.call('ZREM', p .. ':later', job.id)
  redis.call('ZREM', flight(job.lane), job.id)
  redis.call('ZREM', leases(job.lane), job.id)
  if job.waits and redis.call('ZREM', parked(job.lane), job.id) == 1 then redis.call('ZREM', waiters(job.waits), job.id) end
  if not still_out and redis.call('SREM', abroad(job.lane, job.tenant), job.id) == 1 then make_room(job.tenant) end
end

-- To the workers: into flight, or under a lease.
local function send_out(job, set, score)
  redis.call('ZADD', set, score, job.id)
  redis.call('SADD', abroad(job.lane, job.tenant), job.id)
end

local function held(job) return redis.call('ZSCORE', leases(job.lane), job.id) end

-- Whether this attempt may still speak for the job: it holds the lease and nobody has claimed the job since.
local function speaks(job, attempt) return job and job.attempt == tonumber(attempt) and held(job) end
