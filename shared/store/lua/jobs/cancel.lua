--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, expiry_s, tenant, by. A job that nobody works on is canceled at once, a held one at its holder's next step.
-- Returns 1, or 0 when the tenant has no such job.
local job = read(ARGV[2])
if not job or job.tenant ~= ARGV[4] then return 0 end
if OVER[job.status] then return 1 end
if not job.cancel then note(job.tenant, ARGV[5], 'job.canceled', job.id) end
if held(job) then
  redis.call('HSET', record(job.id), 'cancel', 1)
else
  close(job, 'canceled', ARGV[3])
end
return 1
