--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, attempt, step, expiry_s, picture (JPEG). The holder shows the picture as it is after a step.
-- Returns 'done' or 'lost'.
local job = read(ARGV[2])
if not speaks(job, ARGV[3]) then return 'lost' end
redis.call('SET', p .. ':preview:' .. job.id, ARGV[6], 'EX', ARGV[5])
redis.call('HSET', record(job.id), 'shown', ARGV[4])
announce(job.id)
return 'done'
