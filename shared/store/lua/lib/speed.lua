--- @include lib/job_keys
-- Units a second of one generation worker, from a job that has just ended: a moving average. Only the first try of a job that
-- ran all drawing stages itself counts.
local function measure_speed(job, drawing)
  if job.try > 0 then return end
  local seconds = 0
  for _, stage in ipairs(drawing) do
    local f = redis.call('HMGET', job_key(job.id), 't:' .. stage, 'r:' .. stage)
    if not f[1] or f[2] then return end
    seconds = seconds + tonumber(f[1])
  end
  if seconds == 0 then return end
  local speed, before = job.units / seconds, redis.call('GET', p .. ':speed')
  if before then speed = 0.8 * tonumber(before) + 0.2 * speed end
  redis.call('SET', p .. ':speed', tostring(speed))
end
