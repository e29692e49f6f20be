--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, most losses, expiry_s, error, ring_after_s, aging_s, then (stage, queue, messages in the queue) a stage.
-- Returns {how many lost, lost ids..., id, due stage, goes first (1 or 0), ...}: the last are doorbells to ring again.
local AT_ONCE = 100
local MOST_LOOKED_AT = 1000
local t, ring_after_s, aging_s = now(), tonumber(ARGV[5]), tonumber(ARGV[6])
local queue_of, messages, abroad = {}, {}, {}
for i = 7, #ARGV, 3 do
  queue_of[ARGV[i]], messages[ARGV[i + 1]], abroad[ARGV[i + 1]] = ARGV[i + 1], tonumber(ARGV[i + 2]), {}
end

local lost, rings = {}, {}
for _, lane in ipairs({'interactive', 'batch'}) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases(lane), '-inf', t, 'LIMIT', 0, AT_ONCE)) do
    local job = read(id)
    if job then
      lose(job, ARGV[2], ARGV[3], ARGV[4])
      lost[#lost + 1] = id
    else
      redis.call('ZREM', leases(lane), id)
    end
  end
end

-- Parked is only who waits for a result that is being made. Should its maker ever be gone without a word, the next is called;
-- whoever was looked at goes behind the others, so that in time all are.
for _, lane in ipairs({'interactive', 'batch'}) do
  for _, id in ipairs(redis.call('ZRANGE', parked(lane), 0, AT_ONCE - 1)) do
    local job = read(id)
    if job and job.waits then
      redis.call('ZADD', parked(lane), t, id)
      call_next(job.waits)
    else
      redis.call('ZREM', parked(lane), id)
    end
  end
end

-- Jobs that were to begin before now and have not.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', p .. ':deadlines', '-inf', t, 'LIMIT', 0, AT_ONCE)) do
  redis.call('ZREM', p .. ':deadlines', id)
  local job = read(id)
  if job and not OVER[job.status] and job.attempt == 0 then close(job, 'expired', ARGV[3]) end
end

local function ring(job, first)
  redis.call('ZADD', flight(job.lane), t, job.id)
  rings[#rings + 1] = job.id
  rings[#rings + 1] = job.due
  rings[#rings + 1] = (first or job.lane == 'interactive') and '1' or '0'
end

-- Doorbells are lost when more jobs wait for one than messages are there; whose they were, nobody knows, but queues keep
-- their order, so the oldest it is. A wrong guess does no harm: claim turns the second doorbell away, and the next sweep
-- counts again. A job that waited for very long is rung again whatever its lane, as the first in its queue.
for _, lane in ipairs({'interactive', 'batch'}) do
  local entries = redis.call('ZRANGE', flight(lane), 0, MOST_LOOKED_AT - 1, 'WITHSCORES')
  for i = 1, #entries, 2 do
    local job, rung = read(entries[i]), tonumber(entries[i + 1])
    if not job then
      redis.call('ZREM', flight(lane), entries[i])
    elseif queue_of[job.due] and t - rung > aging_s then
      ring(job, true)
    elseif queue_of[job.due] then
      job.rung = rung
      table.insert(abroad[queue_of[job.due]], job)
    end
  end
end
for queue, jobs in pairs(abroad) do
  table.sort(jobs, function(a, b) return a.rung < b.rung end)
  for i = 1, math.min(#jobs - messages[queue], AT_ONCE) do
    if t - jobs[i].rung < ring_after_s then break end
    ring(jobs[i], false)
  end
end

local reply = {#lost}
for _, id in ipairs(lost) do reply[#reply + 1] = id end
for _, word in ipairs(rings) do reply[#reply + 1] = word end
return reply
