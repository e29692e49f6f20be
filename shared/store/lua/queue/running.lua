--- @include lib/job_keys
--- @include lib/job_record
--- @include lib/queue_keys
--- @args
-- Running jobs: (holder, id, tenant, stage, step, steps) per lease.
local reply = {}
for _, lane in ipairs({'interactive', 'batch'}) do
  for _, id in ipairs(redis.call('ZRANGE', leases_key(lane), 0, -1)) do
    local job = read_job(id)
    if job then
      local f = redis.call('HMGET', job_key(id), 'step', 'steps')
      for _, value in ipairs({job.holder, id, job.tenant, job.due, f[1] or '0', f[2] or '0'}) do reply[#reply + 1] = value end
    end
  end
end
return reply
