--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, seconds. Somebody wants to see the picture as it emerges, for so long. Nothing for a job that is over.
local job = read(ARGV[2])
if job and not OVER[job.status] then redis.call('HSET', record(job.id), 'show', now() + tonumber(ARGV[3])) end
