-- ARGV: prefix, id, attempt, expiry_s, stage, next stage or '', digest, seconds, warnings, picture or ''.
-- The stage is done. The last stage's finish is the only place that points to a picture, so a late twin cannot.
-- Returns 'done', 'canceled' or 'lost'; 'done' again when the caller asks twice because the first answer got lost.
local job = read(ARGV[2])
if not job or job.attempt ~= tonumber(ARGV[3]) then return 'lost' end
if not held(job) then
  if redis.call('HGET', record(job.id), 'o:' .. ARGV[5]) == ARGV[7] then return 'done' end
  return 'lost'
end
if job.cancel then
  close(job, 'canceled', ARGV[4])
  return 'canceled'
end
redis.call('HSET', record(job.id), 'o:' .. ARGV[5], ARGV[7], 't:' .. ARGV[5], ARGV[8])
if ARGV[9] ~= '[]' then redis.call('HSET', record(job.id), 'w:' .. ARGV[5], ARGV[9]) end
if ARGV[6] ~= '' then
  take_out(job, true)
  redis.call('HSET', record(job.id), 'due', ARGV[6])
  redis.call('HDEL', record(job.id), 'holder', 'step', 'steps')
  -- Celery's chain rings the next doorbell; the reaper does when that one gets lost.
  send_out(job, flight(job.lane), now())
  announce(job.id)
  return 'done'
end
redis.call('HSET', record(job.id), 'picture', ARGV[10])
-- The last steps may have come too fast to be written one by one.
local steps = redis.call('HGET', record(job.id), 'steps')
if steps then redis.call('HSET', record(job.id), 'step', steps) end
local spent = redis.call('HMGET', record(job.id), 't:render', 't:personalize')
local seconds = tonumber(spent[1] or 0) + tonumber(spent[2] or 0)
if seconds > 0 then
  local before = redis.call('GET', p .. ':speed')
  local speed = job.units / seconds
  if before then speed = 0.8 * tonumber(before) + 0.2 * speed end
  redis.call('SET', p .. ':speed', tostring(speed))
end
close(job, 'succeeded', ARGV[4])
return 'done'
