--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, tenant or '' for any, by. The batch is to go with all it left: now, or once it is over. From now on nobody runs
-- lines of it again. Returns 'none' when the tenant has no such batch, 'over' or 'running'.
local id = ARGV[2]
local f = redis.call('HMGET', batch(id), 's', 'tenant', 'leaving')
if not f[1] or (ARGV[3] ~= '' and f[2] ~= ARGV[3]) then return 'none' end
if not f[3] then note(f[2], ARGV[4], 'batch.deleted', id) end
redis.call('HSET', batch(id), 'leaving', 1)
if f[1] == 'validating' or f[1] == 'running' or f[1] == 'finalizing' then return 'running' end
redis.call('ZADD', p .. ':keptbatches', 0, id)
announce_batch(id)
return 'over'
