-- ARGV: prefix, pause_s, most losses, expiry_s, error, ring_after_s, aging_s, then the stages whose Celery queue is empty.
-- At most one sweep of the whole fleet in pause_s. Returns {0} when it was not the caller's, else
-- {1, how many lost, lost ids..., id, due stage, goes first, ...}: the last are doorbells that got lost, to be rung again.
local AT_ONCE = 100
if not redis.call('SET', p .. ':reap', 1, 'NX', 'PX', math.max(1, math.floor(tonumber(ARGV[2]) * 1000))) then return {0} end
local t, ring_after_s, aging_s = now(), tonumber(ARGV[6]), tonumber(ARGV[7])
local empty = {}
for i = 8, #ARGV do empty[ARGV[i]] = true end

local lost, rings = {}, {}
for _, lane in ipairs({'interactive', 'batch'}) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases(lane), '-inf', t, 'LIMIT', 0, AT_ONCE)) do
    local job = read(id)
    if job then
      lose(job, ARGV[3], ARGV[4], ARGV[5])
      lost[#lost + 1] = id
    else
      redis.call('ZREM', leases(lane), id)
    end
  end
  -- A doorbell is lost when nobody came although its queue is empty, or when nobody came for very long. One too many does
  -- no harm: claim turns it away. One that waited that long goes first, whatever its lane.
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', flight(lane), '-inf', t - ring_after_s, 'LIMIT', 0, AT_ONCE)) do
    local job = read(id)
    local aged = t - tonumber(redis.call('ZSCORE', flight(lane), id)) > aging_s
    if not job then
      redis.call('ZREM', flight(lane), id)
    elseif empty[job.due] or aged then
      redis.call('ZADD', flight(lane), t, id)
      rings[#rings + 1] = id
      rings[#rings + 1] = job.due
      rings[#rings + 1] = (lane == 'interactive' or aged) and '1' or '0'
    end
  end
end

local reply = {1, #lost}
for _, id in ipairs(lost) do reply[#reply + 1] = id end
for _, word in ipairs(rings) do reply[#reply + 1] = word end
return reply
