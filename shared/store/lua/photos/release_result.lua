--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id or '' for no job, tenant, stage, digest. The job, which is over, lets go of a result. Returns 1 when nobody else
-- has it: then its blobs are to be deleted within ERASED_S, and whoever finds them just now does not finish with them.
local job = {id = ARGV[2], tenant = ARGV[3]}
redis.call('SREM', uses(ARGV[3], ARGV[4], ARGV[5]), job.id)
if redis.call('EXISTS', uses(ARGV[3], ARGV[4], ARGV[5])) == 1 then return 0 end
redis.call('SET', erased(ARGV[3], ARGV[4], ARGV[5]), 1, 'EX', ERASED_S)
return 1
