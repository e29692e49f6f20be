--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix. What is being worked on: (holder, id, tenant, stage, step, steps) a lease.
local reply = {}
for _, lane in ipairs({'interactive', 'batch'}) do
  for _, id in ipairs(redis.call('ZRANGE', leases(lane), 0, -1)) do
    local job = read(id)
    if job then
      local f = redis.call('HMGET', record(id), 'step', 'steps')
      for _, word in ipairs({job.holder, id, job.tenant, job.due, f[1] or '0', f[2] or '0'}) do reply[#reply + 1] = word end
    end
  end
end
return reply
