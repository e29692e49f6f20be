--- @include lib/job_record
--- @include lib/lifecycle
--- @include lib/lost_leases
--- @include lib/queue_keys
--- @include lib/single_flight
--- @include lib/time
--- @args max_losses:number expiry_s:number error redispatch_after_s:number aging_s:number queues...
-- Takes back jobs whose lease ended, and finds messages that got lost. queues: (stage, queue, messages in it) per stage.
-- Returns {number of lost leases, lost ids..., id, due stage, has priority (1 or 0), ...}: the last are messages to send again.
local AT_ONCE = 100
local MAX_SCANNED = 1000
local t = now()
local queue_of, messages, dispatched = {}, {}, {}
for i = 1, #queues, 3 do
  queue_of[queues[i]], messages[queues[i + 1]], dispatched[queues[i + 1]] = queues[i + 1], tonumber(queues[i + 2]), {}
end

local lost, again = {}, {}
for _, lane in ipairs({'interactive', 'batch'}) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases_key(lane), '-inf', t, 'LIMIT', 0, AT_ONCE)) do
    local job = read_job(id)
    if job then
      lose_lease(job, max_losses, expiry_s, error)
      lost[#lost + 1] = id
    else
      redis.call('ZREM', leases_key(lane), id)
    end
  end
end

-- A job waits only for a result that has an owner. Should the owner be gone without a word, the next follower is promoted;
-- a job that was checked goes behind the others, so that in time all are.
for _, lane in ipairs({'interactive', 'batch'}) do
  for _, id in ipairs(redis.call('ZRANGE', waiting_key(lane), 0, AT_ONCE - 1)) do
    local job = read_job(id)
    if job and job.waits then
      redis.call('ZADD', waiting_key(lane), t, id)
      promote(job.waits)
    else
      redis.call('ZREM', waiting_key(lane), id)
    end
  end
end

-- Jobs that were to begin before now and have not.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', p .. ':deadlines', '-inf', t, 'LIMIT', 0, AT_ONCE)) do
  redis.call('ZREM', p .. ':deadlines', id)
  local job = read_job(id)
  if job and not OVER[job.status] and job.attempt == 0 then close(job, 'expired', expiry_s) end
end

local function redispatch(job, has_priority)
  redis.call('ZADD', dispatched_key(job.lane), t, job.id)
  again[#again + 1] = job.id
  again[#again + 1] = job.due
  again[#again + 1] = (has_priority or job.lane == 'interactive') and '1' or '0'
end

-- Messages are lost when more jobs are dispatched than there are messages. Which ones, Redis does not know, but queues keep
-- their order, so the oldest are sent again. A wrong guess does no harm: claim rejects the second message, and the next pass
-- counts again. A job that has waited for very long is dispatched again whatever its lane, with priority.
for _, lane in ipairs({'interactive', 'batch'}) do
  local entries = redis.call('ZRANGE', dispatched_key(lane), 0, MAX_SCANNED - 1, 'WITHSCORES')
  for i = 1, #entries, 2 do
    local job, since = read_job(entries[i]), tonumber(entries[i + 1])
    if not job then
      redis.call('ZREM', dispatched_key(lane), entries[i])
    elseif queue_of[job.due] and t - since > aging_s then
      redispatch(job, true)
    elseif queue_of[job.due] then
      job.since = since
      table.insert(dispatched[queue_of[job.due]], job)
    end
  end
end
for queue, jobs in pairs(dispatched) do
  table.sort(jobs, function(a, b) return a.since < b.since end)
  for i = 1, math.min(#jobs - messages[queue], AT_ONCE) do
    if t - jobs[i].since < redispatch_after_s then break end
    redispatch(jobs[i], false)
  end
end

local reply = {#lost}
for _, id in ipairs(lost) do reply[#reply + 1] = id end
for _, value in ipairs(again) do reply[#reply + 1] = value end
return reply
