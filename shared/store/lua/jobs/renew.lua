--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, attempt, lease_s, worker, and optionally step, steps. Prolongs the lease, writes progress if given.
-- Returns what the holder is to do: 'go_on', 'show' (go on, and somebody wants to see the picture), 'lost', 'canceled' or
-- 'draining'.
local job = read(ARGV[2])
if not speaks(job, ARGV[3]) then return 'lost' end
redis.call('ZADD', leases(job.lane), now() + tonumber(ARGV[4]), job.id)
if ARGV[6] then
  redis.call('HSET', record(job.id), 'step', ARGV[6], 'steps', ARGV[7])
  announce(job.id)
end
if job.cancel then return 'canceled' end
if redis.call('HGET', p .. ':worker:' .. ARGV[5], 'draining') == '1' then return 'draining' end
if tonumber(redis.call('HGET', record(job.id), 'show') or 0) > now() then return 'show' end
return 'go_on'
