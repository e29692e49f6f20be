--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, attempt, expiry_s, stage, next stage or '', digest, seconds, warnings, picture or '', reused (1 or ''),
-- what it found (a line each), number of the try or '', the try (JSON), then (stage, digest) of the stages of the best try.
-- With a try and a next stage the picture fell short: the next try begins at that stage, with all that it changes undone.
-- The stage is done, and with it the wait of those who need the same result. Only the last stage's finish, the job's own or
-- its maker's, points to a picture, so a late twin cannot.
-- Returns 'done', 'canceled' or 'lost'; 'done' again when the caller asks twice because the first answer got lost.
local LOST_PHOTO = cjson.encode({
  code = 'unknown_photo', message = 'a photo of this job was erased', retryable = false, stage = 'identify',
})
local number, tried = ARGV[13], ARGV[14]
local job = read(ARGV[2])
if not job or job.attempt ~= tonumber(ARGV[3]) then return 'lost' end
if not held(job) then
  if job.status == 'canceled' or job.status == 'expired' then return 'lost' end
  if redis.call('HGET', record(job.id), 'o:' .. ARGV[5]) == ARGV[7] then return 'done' end
  if number ~= '' and redis.call('HGET', record(job.id), 'y:' .. number) == tried then return 'done' end
  return 'lost'
end
local done = {
  expiry_s = ARGV[4], stage = ARGV[5], due = ARGV[6], digest = ARGV[7], seconds = ARGV[8], warnings = ARGV[9],
  picture = ARGV[10], reused = ARGV[11], found = ARGV[12], outputs = {},
}
local is_over = done.due == '' or done.stage == job.last
local whole, makes = result_of(job, done.stage, done.digest), job.makes

-- What the job made is there, whatever becomes of the job itself.
local function share()
  for result in lines(makes) do
    redis.call('DEL', maker(result))
    if result ~= whole then resolve(result, 'there') end
  end
  if done.reused ~= '' and redis.call('EXISTS', waiters(whole)) == 0 then return end
  -- What a verification means differs from job to job: each looks at it by itself.
  if done.found:find('^v:') then return resolve(whole, 'there') end
  resolve(whole, 'done', 'stage', done.stage, 'due', done.due, 'digest', done.digest, 'seconds', 0,
    'warnings', done.warnings, 'picture', done.picture, 'reused', 1, 'expiry_s', done.expiry_s,
    'found', done.found)
end

-- Erased while this job looked at it: the stage begins anew, in a while. The mark outlives what it is for, and a job that asks
-- for the same thing again would be done over as fast as it can be until then.
if redis.call('EXISTS', erased(job.tenant, ARGV[5], ARGV[7])) == 1 then
  pause(job, now() + 1, ARGV[4])
  return 'lost'
end
if ARGV[5] == 'identify' and lost_photo(job) then
  redis.call('SADD', p .. ':strays', job.tenant .. '/identify/' .. ARGV[7])
  use(job, ARGV[5], ARGV[7])
  redis.call('HSET', record(job.id), 'o:identify', ARGV[7])
  fail(job, LOST_PHOTO, ARGV[4])
  return 'failed'
end
job.makes = nil
if makes then redis.call('HDEL', record(job.id), 'makes') end
if job.cancel then
  use(job, ARGV[5], ARGV[7])
  redis.call('HSET', record(job.id), 'o:' .. ARGV[5], ARGV[7])
  close(job, 'canceled', ARGV[4])
  share()
  return 'canceled'
end
if number ~= '' then redis.call('HSET', record(job.id), 'y:' .. number, tried) end
if number ~= '' and done.due ~= '' then
  use(job, done.stage, done.digest)
  count('done:' .. done.stage .. (done.reused ~= '' and ':reused' or ':made'))
  local seconds = (redis.call('HGET', record(job.id), 't:' .. done.stage) or 0) + done.seconds
  redis.call('HSET', record(job.id), 'due', done.due, 'try', number + 1, 't:' .. done.stage, string.format('%.3f', seconds))
  for i = 15, #ARGV, 2 do redis.call('HDEL', record(job.id), 'o:' .. ARGV[i], 'w:' .. ARGV[i], 'r:' .. ARGV[i]) end
  local concept = 0
  while redis.call('HDEL', record(job.id), 'g:' .. concept) == 1 do concept = concept + 1 end
  spend(job.tenant, job.units)
  put_back(job, ARGV[4])
  share()
  return 'done'
end
if is_over then
  -- The last steps may have come too fast to be written one by one.
  local steps = redis.call('HGET', record(job.id), 'steps')
  if steps then redis.call('HSET', record(job.id), 'step', steps) end
end
for i = 15, #ARGV, 2 do done.outputs[ARGV[i]] = ARGV[i + 1] end
complete(job, done)
if not is_over then
  take_out(job, true)
  redis.call('HDEL', record(job.id), 'holder', 'step', 'steps')
  -- Celery's chain rings the next doorbell; the reaper does when that one gets lost.
  send_out(job, flight(job.lane), now())
  announce(job.id)
  let_go(job)
else
  local found = redis.call('HMGET', record(job.id), 't:render', 't:personalize', 'r:render', 'r:personalize')
  local seconds = tonumber(found[1] or 0) + tonumber(found[2] or 0)
  if found[2] and seconds > 0 and not found[3] and not found[4] and job.try == 0 then
    local before = redis.call('GET', p .. ':speed')
    local speed = job.units / seconds
    if before then speed = 0.8 * tonumber(before) + 0.2 * speed end
    redis.call('SET', p .. ':speed', tostring(speed))
  end
end
share()
return 'done'
