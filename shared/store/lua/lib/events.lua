--- @include lib/job_keys
local EVENTS_KEPT = 10000

local function publish(id, sequence)
  redis.call('XADD', p .. ':events', 'MAXLEN', '~', EVENTS_KEPT, '*', 'j', id, 's', sequence)
end

-- A visible change of a job: its sequence rises, and everyone who waits for the job is told.
local function announce(id)
  local sequence = redis.call('HINCRBY', job_key(id), 'seq', 1)
  -- A record without a sequence is at 1: a job that waits has no field that it can do without.
  if sequence == 1 then sequence = redis.call('HINCRBY', job_key(id), 'seq', 1) end
  publish(id, sequence)
end
