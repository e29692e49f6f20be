--- @include lib/job_keys
--- @include lib/placement
--- @include lib/time
-- Creates a record with these fields (name, value, ...) and queues the job. Returns when it was submitted.
local function create_job(job, spec, fields)
  local at = stamp()
  local units, submitted, deadline = tonumber(job.units), tonumber(at), nil
  for i = 1, #fields, 2 do
    if fields[i] == 'expires' then deadline = submitted + fields[i + 1] end
  end
  redis.call('HSET', job_key(job.id), 'lane', job.lane, 'tenant', job.tenant, 'units', job.units, 'spec', spec, 'at', at,
    unpack(fields))
  if deadline then redis.call('ZADD', p .. ':deadlines', deadline, job.id) end
  enqueue({id = job.id, lane = job.lane, tenant = job.tenant, units = units, at = submitted})
  return at
end
