--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id. What the job left is deleted: now its record goes.
local job = read(ARGV[2])
if job then redis.call('ZREM', p .. ':jobs:' .. job.tenant, job.id) end
redis.call('DEL', record(ARGV[2]), p .. ':preview:' .. ARGV[2])
redis.call('ZREM', p .. ':kept', ARGV[2])
