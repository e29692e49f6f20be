-- ARGV: prefix, id, lane, tenant, units, spec. A second submit of the same id changes nothing.
-- Returns {1, submitted at} or {0}.
local id = ARGV[2]
if redis.call('EXISTS', record(id)) == 1 then return {0} end
local at = stamp()
redis.call('HSET', record(id), 'lane', ARGV[3], 'tenant', ARGV[4], 'units', ARGV[5], 'spec', ARGV[6], 'at', at)
enqueue({id = id, lane = ARGV[3], tenant = ARGV[4], units = tonumber(ARGV[5]), at = tonumber(at)})
redis.call('ZADD', p .. ':jobs:' .. ARGV[4], at, id)
return {1, at}
