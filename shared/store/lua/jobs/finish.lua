--- @include lib/charge_later
--- @include lib/counters
--- @include lib/events
--- @include lib/job_keys
--- @include lib/job_photos
--- @include lib/job_record
--- @include lib/leases
--- @include lib/lifecycle
--- @include lib/outcomes
--- @include lib/placement
--- @include lib/queue_keys
--- @include lib/references
--- @include lib/result_keys
--- @include lib/single_flight
--- @include lib/speed
--- @include lib/time
--- @args id attempt:number expiry_s:number report
-- The stage is done, and with it the wait of the followers of its result. Only the last stage's finish, the job's own or its
-- owner's, writes a picture, so a late twin cannot.
-- report is JSON, of what the stage left and what the script must know of stages:
--   stage, next (none when it is the last), digest, seconds, warnings (JSON, if any), picture (key, if any), reused,
--   found (fields), from_photos (the result holds faces of the photos), own (followers make theirs themselves),
--   number and try (of a job that has several: the number of this one, and its record as JSON),
--   outputs (digest by stage of the best try, where that is an earlier one),
--   redo (stages that the next try runs: this one fell short), redo_found (fields of them to delete),
--   drawing (stages that draw, for the speed), photo_erased (error of a job one of whose photos was erased).
-- Returns 'done', 'canceled', 'failed' or 'lost'; 'done' again when the caller asks twice because the first answer got lost.
local done, job = cjson.decode(report), read_job(id)
if not job or job.attempt ~= attempt then return 'lost' end
if not is_held(job) then
  if job.status == 'canceled' or job.status == 'expired' then return 'lost' end
  if redis.call('HGET', job_key(job.id), 'o:' .. done.stage) == done.digest then return 'done' end
  if done.try and redis.call('HGET', job_key(job.id), 'y:' .. done.number) == done.try then return 'done' end
  return 'lost'
end
local is_over = not done.next or done.stage == job.last
local whole, owns = result_of(job.tenant, done.stage, done.digest), job.owns

-- What the job made is stored, whatever becomes of the job itself.
local function share()
  for result in each_line(owns) do
    redis.call('DEL', owner_key(result))
    if result ~= whole then resolve(result, {}) end
  end
  if done.reused and redis.call('EXISTS', followers_key(whole)) == 0 then return end
  if done.own then return resolve(whole, {}) end
  resolve(whole, {expiry_s = expiry_s, done = {
    stage = done.stage, next = done.next, digest = done.digest, seconds = 0, warnings = done.warnings,
    picture = done.picture, reused = true, found = done.found, from_photos = done.from_photos,
  }})
end

-- The result was erased while this job used it: the stage begins again, in a while. The mark outlives its reason, and a job
-- that asks for the same result again would go round as fast as it can until then.
if redis.call('EXISTS', erased_key(whole)) == 1 then
  delay(job, now() + 1, expiry_s)
  return 'lost'
end
if done.from_photos and has_erased_photo(job) then
  add_reference(job, done.stage, done.digest, true)
  redis.call('SADD', p .. ':orphans', whole)
  redis.call('HSET', job_key(job.id), 'o:' .. done.stage, done.digest)
  fail(job, done.photo_erased, expiry_s)
  return 'failed'
end
job.owns = nil
if owns then redis.call('HDEL', job_key(job.id), 'owns') end
if job.cancel then
  add_reference(job, done.stage, done.digest, done.from_photos)
  redis.call('HSET', job_key(job.id), 'o:' .. done.stage, done.digest)
  close(job, 'canceled', expiry_s)
  share()
  return 'canceled'
end
if done.try then redis.call('HSET', job_key(job.id), 'y:' .. done.number, done.try) end
if done.redo then
  local seconds = (redis.call('HGET', job_key(job.id), 't:' .. done.stage) or 0) + done.seconds
  add_reference(job, done.stage, done.digest, done.from_photos)
  count('done:' .. done.stage .. (done.reused and ':reused' or ':made'))
  redis.call('HSET', job_key(job.id), 'due', done.redo[1], 'try', done.number + 1, 't:' .. done.stage, string.format('%.3f', seconds))
  for _, stage in ipairs(done.redo) do redis.call('HDEL', job_key(job.id), 'o:' .. stage, 'w:' .. stage, 'r:' .. stage) end
  redis.call('HDEL', job_key(job.id), unpack(done.redo_found))
  charge_later(job.tenant, job.units)
  requeue(job, expiry_s)
  share()
  return 'done'
end
if is_over then
  -- The last steps may have come too fast to be written one by one.
  local steps = redis.call('HGET', job_key(job.id), 'steps')
  if steps then redis.call('HSET', job_key(job.id), 'step', steps) end
end
complete(job, done, expiry_s)
if is_over then
  measure_speed(job, done.drawing)
else
  take_out(job, true)
  redis.call('HDEL', job_key(job.id), 'holder', 'step', 'steps')
  -- Celery's chain sends the next message; the reaper does when that one gets lost.
  put_in_flight(job, dispatched_key(job.lane), now())
  announce(job.id)
  release_results(job)
end
share()
return 'done'
