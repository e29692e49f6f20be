--- @include lib/job_keys
--- @include lib/job_record
--- @include lib/leases
--- @include lib/placement
--- @include lib/queue_keys
--- @include lib/result_keys
-- Shared work is done once. A result is a stage's output or a part of one, named by where it is stored. A job under a lease
-- that asks for results with no owner becomes their owner; a job that asks for one with an owner is a follower and waits:
-- it has no lease and no place in a queue until the owner finishes (all followers get the result or run on), fails (all
-- fail alike) or gives up (the first follower is promoted: it is queued, to make the result). A promoted job keeps `waits`:
-- when it ends, the next follower is promoted.
local function each_line(text) return string.gmatch(text or '', '[^\n]+') end

-- The job that makes the result under a lease, or that was promoted and has not begun yet.
local function owner_of(result)
  local id = redis.call('GET', owner_key(result))
  local job = id and read_job(id)
  if not job or OVER[job.status] then return nil end
  if is_held(job) then return job.owns and job end
  if job.waits == result and not redis.call('ZSCORE', waiting_key(job.lane), id) then return job end
  return nil
end

-- Promotes the first follower, now or (at) when the pause of the owner that gave up is over.
local function promote(result, at)
  if owner_of(result) then return end
  redis.call('DEL', owner_key(result))
  while true do
    local id = redis.call('ZRANGE', followers_key(result), 0, 0)[1]
    if not id then return end
    local job = read_job(id)
    if job then
      take_out(job)
      redis.call('SET', owner_key(result), id)
      if at then redis.call('ZADD', p .. ':delayed', at, id) else enqueue(job) end
      return
    end
    redis.call('ZREM', followers_key(result), id)
  end
end

-- The job, which has just been moved, owns and waits for nothing any more.
local function release_results(job, at)
  if not job.owns and not job.waits then return end
  redis.call('HDEL', job_key(job.id), 'owns', 'waits')
  local owns, waits = job.owns, job.waits
  job.owns, job.waits = nil, nil
  for result in each_line(owns) do promote(result, at) end
  if waits then promote(waits, at) end
end
